"""The cell unit of a GRU: from gates to an output, one gate a cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed
from amaranth.lib.wiring import Out

from hdl.ebatch import requantise
from hdl.ebatch.activation import ACTIVATION_STAGES
from hdl.ebatch.cell_unit import (
    GATE,
    PRODUCT_RANKS,
    READ_RANKS,
    RESULT_RANKS,
    TANH_RANKS,
    TERM_RANKS,
    GateSteps,
    LaneMemory,
    cell_ports,
)
from hdl.ebatch.parameters import BYTE, Cell
from hdl.ebatch.requantise import REQUANTISE_STAGES, saturate
from hdl.export import Unit
from hdl.pipeline import Bundle, run_stages, without
from hdl.wire import wire

#: Of a gate below 1.0, and of an output.
GATE_FRACTION = GATE - 1
OUTPUT_FRACTION = BYTE - 1
#: Of a product, which is int32.
PRODUCT = GATE_FRACTION + GATE + 1
#: Of a mixture of outputs, times a gate, beyond an output.
MIXED_FRACTION = 2 * GATE_FRACTION - OUTPUT_FRACTION

#: Cycles from the last gate to the output, and from the reset gate to the reset state.
OUTPUT_LATENCY = PRODUCT_RANKS + 1
RESET_LATENCY = TERM_RANKS


class GruCellUnit(Unit):
    """Makes outputs of gates: h' = (1 - z) n + z h, rounded once.

    Ports
        those of ``cell_ports``, without need of the settings of a cell. carry: h before the step,
        with every gate; at a first step it counts as 0.
        h_valid, h: h', ``OUTPUT_LATENCY`` cycles after the last gate.
        With ``reset_before``: q_valid, q: sat8(requantised r h), which the new gate is computed
        from, ``RESET_LATENCY`` cycles after the reset gate; n is the new gate, which comes last,
        and ``pre`` is not needed. Without: the value of the new gate is its state term u, pre its
        input term, and n = tanh(sat16(pre + requantised r u)); the update gate z comes last.

    Gates come in the order of ``Cell.gates``, each of all lanes before the next, one a cycle or
    slower; those of one lane are at least ``TANH_RANKS`` + 1 cycles apart. r and z are sigmoids, so
    not negative.
    """

    mapped_alone = True

    def __init__(self, lanes: int, reset_before: bool) -> None:
        self.lanes = lanes
        self.reset_before = reset_before
        cell = Cell.GRU_RESET_BEFORE if reset_before else Cell.GRU_RESET_AFTER
        self.reset, self.update, self.new = map(cell.gates.index, ("reset", "update", "new"))
        self.last = len(cell.gates) - 1
        reset_ports = {"q_valid": Out(1), "q": Out(signed(BYTE))} if reset_before else {}
        super().__init__(
            {**cell_ports(lanes), "h_valid": Out(1), "h": Out(signed(BYTE)), **reset_ports}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps = GateSteps(m, self, TANH_RANKS)
        # One gate waits for another one of its lane: z, or else r, and later on n.
        waiting = LaneMemory(m, "waiting", self.lanes)
        waiting.read(steps.valid[0], steps.lane[0])
        is_last = steps.gate[READ_RANKS] == self.last

        def multiply(m: Module, inputs: Bundle) -> Bundle:
            return self._multiply(m, inputs, waiting.data, is_last)

        names = ["value", "carry", "is_first", "multiplier", "shift"]
        if not self.reset_before:
            names.append("pre")
        bundle = {name: getattr(self, name) for name in names}
        enables = Const(1).replicate(TANH_RANKS)
        ranks = enables[:PRODUCT_RANKS]
        product = run_stages(m, [self._choose, multiply], bundle, ranks, "product")

        mixture = {"value": product["value"], "new": product["new"]}
        mixed = run_stages(m, [self._mix], mixture, Const(1), "mixture")["value"]
        m.d.comb += [self.h_valid.eq(steps.at(self.last, OUTPUT_LATENCY)), self.h.eq(mixed)]

        term = without(product, "new")
        if self.reset_before:
            stages = [*REQUANTISE_STAGES[:-1], self._reset]
            ranks = enables[PRODUCT_RANKS:TERM_RANKS]
            q = run_stages(m, stages, term, ranks, "term")["value"]
            m.d.comb += [self.q_valid.eq(steps.at(self.reset, RESET_LATENCY)), self.q.eq(q)]
            waiting.write(steps.at(self.update, 0), steps.lane[0], self.value)
        else:
            stages = [*REQUANTISE_STAGES, self._add]
            ranks = enables[PRODUCT_RANKS:RESULT_RANKS]
            total = run_stages(m, stages, term, ranks, "term")["value"]
            bundle = {"value": total, "is_tanh": Const(1, 1), "shift": Const(0, requantise.SHIFT)}
            ranks = enables[RESULT_RANKS:]
            new = run_stages(m, ACTIVATION_STAGES, bundle, ranks, "tanh")["value"]
            # r is used up before there is n; and that before the next r.
            is_reset, is_new = steps.at(self.reset, 0), steps.at(self.new, TANH_RANKS)
            waiting.write(
                is_reset | is_new,
                Mux(is_new, steps.lane[TANH_RANKS], steps.lane[0]),
                Mux(is_new, new, self.value),
            )
        return m

    def _choose(self, m: Module, inputs: Bundle) -> Bundle:
        """h is int8, whatever the width of the port."""
        h = inputs["carry"][:BYTE] & (~inputs["is_first"]).replicate(BYTE)
        return {**without(inputs, "carry", "is_first"), "h": h}

    def _multiply(self, m: Module, inputs: Bundle, waiting: Value, is_last: Value) -> Bundle:
        """z times h - n, or r times what is reset."""
        value, h = inputs["value"], inputs["h"].as_signed()
        if self.reset_before:
            sigmoid, new, reset = Mux(is_last, waiting, value), value, h
        else:
            sigmoid, new, reset = Mux(is_last, value, waiting), waiting, value.as_signed()
        difference = Cat(Const(0, GATE - BYTE), h).as_signed() - new.as_signed()
        factor = wire(m, Mux(is_last, difference, reset), "factor").as_signed()
        # A sigmoid is not negative; a product has the bits of its factors.
        product = (factor * wire(m, sigmoid, "sigmoid")[:GATE_FRACTION])[:PRODUCT]
        return {**without(inputs, "h"), "value": product, "new": new}

    def _mix(self, m: Module, inputs: Bundle) -> Bundle:
        """n + z (h - n), rounded to the nearest, halves away from zero."""
        product, new = inputs["value"].as_signed(), inputs["new"].as_signed()
        total = product[GATE_FRACTION:].as_signed() + new
        # Nothing is added to the last places of the product. The sum is between n and h, so int32.
        mixed = Cat(product[:GATE_FRACTION], total)[:PRODUCT]
        upper, half = mixed[MIXED_FRACTION:].as_signed(), mixed[MIXED_FRACTION - 1]
        is_up = half & (~mixed[-1] | mixed[: MIXED_FRACTION - 1].any())
        return {"value": saturate(m, upper + wire(m, is_up, "is_up"), BYTE, "mixed")}

    def _reset(self, m: Module, inputs: Bundle) -> Bundle:
        """The last stage of a requantisation, and all there is behind it."""
        term = REQUANTISE_STAGES[-1](m, inputs)["value"]
        return {"value": saturate(m, term, BYTE, "reset")}

    def _add(self, m: Module, inputs: Bundle) -> Bundle:
        """What the tanh of the new gate is of."""
        total: Value = inputs["value"].as_signed() + inputs["pre"].as_signed()
        return {"value": saturate(m, total, GATE, "total")}
