"""From sums of products to outputs: what all lanes share behind their multipliers."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from hdl.delay import delay
from hdl.ebatch import cell_unit, gate_unit, gru_cell_unit
from hdl.ebatch.cell_unit import LstmCellUnit
from hdl.ebatch.gate_unit import GateUnit
from hdl.ebatch.gru_cell_unit import GruCellUnit
from hdl.ebatch.parameters import BYTE, Cell, Parameters
from hdl.ebatch.weight_store import MULTIPLIER_BITS, SHIFT_BITS, WORD
from hdl.export import place
from hdl.wire import wire

#: What a gate unit does with a sum.
SIGMOID, TANH, NOTHING = range(3)


def result_latency(parameters: Parameters) -> int:
    """Cycles from the last word of a phase until what needs all its results may be read."""
    unit = cell_unit if parameters.cell is Cell.LSTM else gru_cell_unit
    return 3 + parameters.lanes + gate_unit.LATENCY + unit.OUTPUT_LATENCY


class Results(Component):
    """Takes the sums of a part lane by lane through the gate unit and the cell unit.

    Ports
        finish, gate, unit, of_state, phase_end: of a part whose sums are there in the next cycle.
        sum: the one of lane 0, then those of the others, one a cycle. works, first: of each lane,
        with ``finish``. layer: which is computed.
        bias, multiplier, shift: of the part, from the cycle behind ``finish`` on.
        product: whose ``product_multiplier`` and ``product_shift`` are wanted one cycle later.
        write: ``data`` is the output of ``unit_out`` in a lane, one bit each, ``lane_out`` its
        number; is_last_unit: it is the layer's last one. write_product: it is the reset state.
        phase_done, step_done: that was the last one of a phase, of a step.

    A sum a cycle. Results of lanes without a token are computed like any other and written nowhere.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = p = parameters
        gates = len(p.cell.gates)
        super().__init__(
            {
                "finish": In(1),
                "gate": In(range(gates)),
                "unit": In(range(p.hidden_size)),
                "of_state": In(1),
                "phase_end": In(1),
                "sum": In(signed(p.accumulator_bits)),
                "works": In(p.lanes if p.completion else 1),
                "first": In(p.lanes if p.completion else 1),
                "layer": In(range(max(p.layers, 2))),
                "bias": In(signed(WORD)),
                "multiplier": In(MULTIPLIER_BITS),
                "shift": In(signed(SHIFT_BITS)),
                "product": Out(range(max(len(p.cell.products), 2))),
                "product_multiplier": In(MULTIPLIER_BITS),
                "product_shift": In(signed(SHIFT_BITS)),
                "cell_clip": In(15),
                "cell_shift": In(signed(SHIFT_BITS)),
                "output_offset": In(signed(BYTE)),
                "write": Out(p.lanes),
                "write_product": Out(p.lanes),
                "unit_out": Out(range(p.hidden_size)),
                "is_last_unit": Out(1),
                "lane_out": Out(range(max(p.lanes, 2))),
                "data": Out(BYTE),
                "phase_done": Out(1),
                "step_done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p = self.parameters
        m.submodules.gate_unit = unit = place(
            platform, GateUnit, p.lanes, p.accumulator_bits, p.cell
        )
        sums = self._emit(m)
        m.d.comb += [
            unit.result.eq(Cat(sums["valid"], self.sum)),
            unit.bias.eq(self.bias),
            unit.multiplier.eq(self.multiplier),
            unit.shift.eq(self.shift),
            unit.is_state.eq(sums["of_state"]),
            unit.gate_function.eq(self._function(sums["gate"])),
            unit.is_first.eq(sums["first"]),
        ]
        # What is known of a result travels beside the unit.
        known = {
            "valid": sums["valid"] & sums["of_state"],
            **{name: sums[name] for name in ("gate", "unit", "lane", "works", "first", "end")},
        }
        early = _later(m, known, gate_unit.LATENCY - 1, "early")
        gated = _later(m, early, 1, "gated")
        carried = self._cell(m, platform, unit, early, gated)
        m.d.comb += [
            self.unit_out.eq(carried["unit"]),
            self.is_last_unit.eq(carried["unit"] == p.hidden_size - 1),
            self.lane_out.eq(carried["lane"]),
        ]
        return m

    def _emit(self, m: Module) -> dict[str, Value]:
        """The sums of a part, lane by lane."""
        p = self.parameters
        active = Signal(name="emits")
        lane = Signal(range(max(p.lanes, 2)), name="emitted_lane")
        # Of the lanes that are left, the next one lowest. The plain engine has one for all lanes.
        works, first = Signal.like(self.works, name="works_left"), Signal.like(self.first)
        held = {
            name: Signal.like(getattr(self, name), name=f"emitted_{name}")
            for name in ("gate", "unit", "of_state", "phase_end")
        }
        m.d.sync += lane.eq(lane + 1)
        if p.completion:
            m.d.sync += [works.eq(works >> 1), first.eq(first >> 1)]
        is_last = wire(m, lane == p.lanes - 1, "is_last_lane")
        with m.If(is_last):
            m.d.sync += active.eq(0)
        with m.If(self.finish):
            m.d.sync += [active.eq(1), lane.eq(0), works.eq(self.works), first.eq(self.first)]
            m.d.sync += [register.eq(getattr(self, name)) for name, register in held.items()]
        return {
            "valid": active,
            "lane": lane,
            "works": works[0],
            "first": first[0],
            "gate": held["gate"],
            "unit": held["unit"],
            "of_state": held["of_state"],
            "end": held["phase_end"] & is_last,
        }

    def _function(self, gate: Value) -> Value:
        cell = self.parameters.cell
        of_tanh = cell.gates.index("update" if cell is Cell.LSTM else "new")
        other = NOTHING if cell is Cell.GRU_RESET_AFTER else TANH
        return Mux(gate == of_tanh, other, SIGMOID)

    def _cell(
        self,
        m: Module,
        platform: object,
        unit: object,
        early: dict[str, Value],
        gated: dict[str, Value],
    ) -> dict[str, Value]:
        """The cell unit and the memory of what it carries from step to step."""
        p = self.parameters
        cell = p.cell
        is_lstm = cell is Cell.LSTM
        shape = signed(16 if is_lstm else BYTE)
        carry = Memory(shape=shape, depth=p.layers * p.hidden_size * p.lanes, init=[])
        m.submodules.carry = carry
        read, write = carry.read_port(), carry.write_port()
        if is_lstm:
            m.submodules.cell_unit = computes = place(platform, LstmCellUnit, p.lanes)
            output, other = cell_unit.OUTPUT_LATENCY, cell_unit.CARRY_LATENCY
        else:
            before = cell is Cell.GRU_RESET_BEFORE
            m.submodules.cell_unit = computes = place(platform, GruCellUnit, p.lanes, before)
            output, other = gru_cell_unit.OUTPUT_LATENCY, gru_cell_unit.RESET_LATENCY
        gates = [cell.gates.index(name) for name in cell.products]
        product = sum(
            (Mux(early["gate"] == gate, at, 0) for at, gate in enumerate(gates)), Const(0, 1)
        )
        m.d.comb += [
            self.product.eq(product),
            read.addr.eq(self._carry_address(early)),
            computes.valid.eq(gated["valid"]),
            computes.gate.eq(gated["gate"]),
            computes.lane.eq(gated["lane"]),
            computes.value.eq(unit.value),
            computes.pre.eq(unit.pre),
            computes.is_first.eq(gated["first"]),
            computes.carry.eq(read.data),
            computes.multiplier.eq(self.product_multiplier),
            computes.shift.eq(self.product_shift),
            computes.cell_clip.eq(self.cell_clip),
            computes.cell_shift.eq(self.cell_shift),
            computes.output_offset.eq(self.output_offset),
        ]
        outputs = _later(m, gated, output, "output")
        others = outputs if other == output else _later(m, gated, other, "other")
        writes = wire(m, computes.h_valid & outputs["works"], "writes")
        m.d.comb += [
            self.write.eq(Mux(writes, 1 << outputs["lane"], 0)),
            self.data.eq(computes.h),
            self.step_done.eq(computes.h_valid & outputs["end"]),
            self.phase_done.eq(self.step_done),
        ]
        if is_lstm:
            m.d.comb += [
                write.addr.eq(self._carry_address(others)),
                write.data.eq(computes.carry_out),
                write.en.eq(computes.carry_valid & others["works"]),
            ]
        else:
            m.d.comb += [
                write.addr.eq(self._carry_address(outputs)),
                write.data.eq(computes.h),
                write.en.eq(writes),
            ]
        if cell is not Cell.GRU_RESET_BEFORE:
            return outputs
        # The reset state comes in another phase than the outputs, so one way out serves both.
        is_product = wire(m, computes.q_valid, "is_product")
        with m.If(is_product):
            m.d.comb += [
                self.data.eq(computes.q),
                self.write_product.eq(Mux(others["works"], 1 << others["lane"], 0)),
                self.phase_done.eq(others["end"]),
            ]
        return {name: Mux(is_product, others[name], outputs[name]) for name in ("unit", "lane")}

    def _carry_address(self, of: dict[str, Value]) -> Value:
        p = self.parameters
        return (self.layer * p.hidden_size + of["unit"]) * p.lanes + of["lane"]


def _later(m: Module, known: dict[str, Value], cycles: int, name: str) -> dict[str, Value]:
    """What is known of a result, ``cycles`` later. Only what says that there is one is reset."""
    return {
        key: delay(
            m, value, cycles, name=f"{name}_{key}", init=0 if key in ("valid", "end") else None
        )
        for key, value in known.items()
    }
