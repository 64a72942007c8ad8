"""The cell unit of an LSTM: from gates to a cell and an output, one gate a cycle."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Member, Out

from hdl.ebatch import activation, requantise
from hdl.ebatch.activation import ACTIVATION_STAGES
from hdl.ebatch.parameters import BYTE, Cell
from hdl.ebatch.requantise import REQUANTISE_STAGES
from hdl.export import Unit
from hdl.pipeline import Bundle, run_stages, without
from hdl.wire import wire

GATE = activation.VALUE
#: Of a cell's limit, which is positive.
CLIP = GATE - 1

FORGET, INPUT, UPDATE, OUTPUT = range(len(Cell.LSTM.gates))

#: Ranks of registers until the factors of a product are there, the product, and a result of it.
READ_RANKS = 1
PRODUCT_RANKS = READ_RANKS + 1
TERM_RANKS = PRODUCT_RANKS + len(REQUANTISE_STAGES)
RESULT_RANKS = TERM_RANKS + 1
#: Until the tanh of a cell is there.
TANH_RANKS = RESULT_RANKS + len(ACTIVATION_STAGES)

#: Cycles from the update gate to the cell, and from the output gate to the output.
CARRY_LATENCY = RESULT_RANKS
OUTPUT_LATENCY = RESULT_RANKS


def lane_shape(lanes: int) -> range:
    """Of the number of a lane, which has one bit if there is but one lane."""
    return range(max(lanes, 2))


def cell_ports(lanes: int) -> dict[str, Member]:
    """What goes into every cell unit; not all of them look at all of it.

    valid: a gate comes in. gate: which one, in the order of ``Cell.gates``. lane: whose. value,
    pre: as they come out of the gate unit. is_first: the lane is at the first step of a sequence.
    carry: what the layer's last step left for this unit of this lane. multiplier, shift: of the
    product that this gate completes. cell_clip, cell_shift, output_offset: of the layer; they stay
    while any of its gates is inside.
    """
    return {
        "valid": In(1),
        "gate": In(range(len(Cell.LSTM.gates))),
        "lane": In(lane_shape(lanes)),
        "value": In(signed(GATE)),
        "pre": In(signed(GATE)),
        "is_first": In(1),
        "carry": In(signed(GATE)),
        "multiplier": In(unsigned(requantise.MULTIPLIER)),
        "shift": In(signed(requantise.SHIFT)),
        "cell_clip": In(unsigned(CLIP)),
        "cell_shift": In(signed(requantise.SHIFT)),
        "output_offset": In(signed(BYTE)),
    }


class LstmCellUnit(Unit):
    """Makes cells and outputs of gates: c = clip(sat16(f c) + i g), h = sat8(o tanh(c) + offset),
    all products requantised.

    Ports
        those of ``cell_ports``, without need of ``pre``. carry: c before the step, with the forget
        gate; at a first step it counts as 0.
        carry_valid, carry_out: c, ``CARRY_LATENCY`` cycles after the update gate. h_valid, h:
        ``OUTPUT_LATENCY`` cycles after the output gate.

    Gates come in the order forget, input, update, output, each of all lanes before the next, one a
    cycle or slower; those of one lane are at least ``TANH_RANKS`` + 1 cycles apart.
    """

    mapped_alone = True

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {
                **cell_ports(lanes),
                "carry_valid": Out(1),
                "carry_out": Out(signed(GATE)),
                "h_valid": Out(1),
                "h": Out(signed(BYTE)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps = GateSteps(m, self, TANH_RANKS)
        factors = LaneMemory(m, "factors", self.lanes)
        cells = LaneMemory(m, "cells", self.lanes)

        def choose(m: Module, inputs: Bundle) -> Bundle:
            carry = inputs["carry"].as_unsigned() & (~inputs["is_first"]).replicate(GATE)
            return {**without(inputs, "is_first"), "carry": carry}

        def multiply(m: Module, inputs: Bundle) -> Bundle:
            other = Mux(steps.gate[READ_RANKS] == FORGET, inputs["carry"], factors.data)
            product = inputs["value"].as_signed() * wire(m, other, "other").as_signed()
            return {**without(inputs, "carry"), "value": product}

        def finish(m: Module, inputs: Bundle) -> Bundle:
            gate = steps.gate[TERM_RANKS]
            return {"value": self._finish(m, inputs["value"].as_signed(), gate, cells.data)}

        bundle = {
            name: getattr(self, name)
            for name in ("value", "carry", "is_first", "multiplier", "shift")
        }
        stages = [choose, multiply, *REQUANTISE_STAGES, finish]
        enables = Const(1).replicate(TANH_RANKS)
        result = run_stages(m, stages, bundle, enables[:RESULT_RANKS], "product")["value"]
        bundle = {"value": result, "is_tanh": Const(1, 1), "shift": self.cell_shift}
        tanh = run_stages(m, ACTIVATION_STAGES, bundle, enables[RESULT_RANKS:], "tanh")["value"]

        factors.read(steps.valid[0], steps.lane[0])
        # An input gate is used up before there is a tanh; and that before the next input gate.
        is_input, is_tanh = steps.at(INPUT, 0), steps.at(UPDATE, TANH_RANKS)
        factors.write(
            is_input | is_tanh,
            Mux(is_tanh, steps.lane[TANH_RANKS], steps.lane[0]),
            Mux(is_tanh, tanh, self.value),
        )
        cells.read(steps.valid[TERM_RANKS - 1], steps.lane[TERM_RANKS - 1])
        cells.write(steps.at(FORGET, RESULT_RANKS), steps.lane[RESULT_RANKS], result)
        m.d.comb += [
            self.carry_valid.eq(steps.at(UPDATE, CARRY_LATENCY)),
            self.carry_out.eq(result),
            self.h_valid.eq(steps.at(OUTPUT, OUTPUT_LATENCY)),
            self.h.eq(result[:BYTE]),
        ]
        return m

    def _finish(self, m: Module, term: Value, gate: Value, cell: Value) -> Value:
        """The cell so far, the cell, or the output: what is added, and the limits."""
        added, high, low = Signal(signed(GATE)), Signal(signed(GATE)), Signal(signed(GATE))
        limit = 1 << GATE - 1
        m.d.comb += [added.eq(0), high.eq(limit - 1), low.eq(-limit)]
        with m.If(gate == UPDATE):
            m.d.comb += [added.eq(cell), high.eq(self.cell_clip), low.eq(-self.cell_clip)]
        with m.If(gate == OUTPUT):
            limit = 1 << BYTE - 1
            m.d.comb += [added.eq(self.output_offset), high.eq(limit - 1), low.eq(-limit)]
        total = wire(m, term + added, "total").as_signed()
        # Between the limits, which have as many bits.
        return Mux(total > high, high, Mux(total < low, low, total))[:GATE]


class GateSteps:
    """Where the gates inside are: valid, gate and lane as they were up to ``ranks`` cycles ago."""

    def __init__(self, m: Module, unit: Unit, ranks: int) -> None:
        self.valid = _past(m, unit.valid, ranks, "valid", reset_less=False)
        self.gate = _past(m, unit.gate, ranks, "gate")
        self.lane = _past(m, unit.lane, ranks, "lane")

    def at(self, gate: int, rank: int) -> Value:
        """Whether this gate of some lane came in ``rank`` cycles ago."""
        return self.valid[rank] & (self.gate[rank] == gate)


def _past(
    m: Module, value: Value, ranks: int, name: str, *, reset_less: bool = True
) -> list[Value]:
    """``value`` as it was 0 … ``ranks`` cycles ago."""
    past = [value]
    for rank in range(ranks):
        register = Signal(len(value), name=f"{name}_{rank}", reset_less=reset_less)
        m.d.sync += register.eq(past[-1])
        past.append(register)
    return past


class LaneMemory:
    """One int16 of each lane; data: what was read, one cycle later."""

    def __init__(self, m: Module, name: str, lanes: int) -> None:
        self._m = m
        m.submodules[name] = memory = Memory(
            shape=unsigned(GATE), depth=len(lane_shape(lanes)), init=[]
        )
        self._read, self._write = memory.read_port(), memory.write_port()
        self.data: Value = self._read.data

    def read(self, enable: Value, lane: Value) -> None:
        self._m.d.comb += [self._read.en.eq(enable), self._read.addr.eq(lane)]

    def write(self, enable: Value, lane: Value, data: Value) -> None:
        port = self._write
        self._m.d.comb += [port.en.eq(enable), port.addr.eq(lane), port.data.eq(data)]
