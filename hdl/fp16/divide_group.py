"""The group of divisions and square roots: one instruction at a time, its lanes in lockstep."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.data import View

from hdl.export import place
from hdl.fp16.divide import DivideSquareRoot
from hdl.fp16.group import Group, Outcome
from hdl.fp16.instruction import (
    active_mask,
    box,
    index_of,
    is_scalar,
    lane_operands,
    merge,
    merge_flags,
)
from hdl.fp16.operation import Operation
from hdl.fp16.parameters import Parameters
from hdl.pipeline import hold


class DivideGroup(Group):
    """DIV and SQRT, lane by lane, with the ports of every group.

    The result is offered ``cycles`` cycles after the instruction was taken, whatever it is, and
    held until it is taken. In that cycle the next instruction may be taken, so that there can be
    one every ``cycles`` cycles. ``flush`` drops the instruction inside, and one that comes.
    """

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters, depth=0)

    @property
    def cycles(self) -> int:
        """From an instruction to its result: precision of the lane's format + 6."""
        return DivideSquareRoot.phases(self.parameters.lane) + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # One bit runs through: a phase of the lanes each, and the last one, done, waits.
        phase = Signal(self.cycles)
        done = phase[-1]
        load = Signal()
        m.d.comb += [
            self.o.valid.eq(done),
            self.busy.eq(phase.any()),
            self.i.ready.eq(~self.busy | (done & self.o.ready)),
            load.eq(self.i.valid & self.i.ready),
        ]
        with m.If(~done | self.o.ready):
            m.d.sync += phase.eq(Cat(load, phase[:-1]))
        with m.If(self.flush):
            m.d.sync += phase.eq(0)

        outcome = self.execute(m, platform, self.i.payload, Cat(load, phase[:-1]))
        m.d.comb += [
            self.o.payload.tag.eq(hold(m, self.i.payload.tag, load, "tag")),
            self.o.payload.flags.eq(outcome.flags),
            self.o.payload.result.eq(outcome.result),
        ]
        return m

    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        """The outcome; ``enables``: load and phases of the lanes."""
        p = self.parameters
        load = enables[:1]
        scalar = is_scalar(instruction)
        is_root = index_of(instruction) == Operation.SQRT.index
        was_root = hold(m, is_root, load, "is_root")
        mode = hold(m, instruction.mode, load, "mode")
        operands = [
            lane_operands(register, p, scalar) for register in (instruction.a, instruction.b)
        ]
        results, flags = [], []
        for number, (a, b) in enumerate(zip(*operands, strict=True)):
            lane = place(platform, DivideSquareRoot, p.lane)
            m.submodules[f"lane_{number}"] = lane
            m.d.comb += [
                lane.load.eq(load),
                lane.phase.eq(enables[1:]),
                lane.a.eq(a),
                lane.b.eq(b),
                lane.is_root.eq(Mux(load, is_root, was_root)),
                lane.mode.eq(mode),
            ]
            results.append(lane.result)
            flags.append(lane.flags.as_value())
        mask = hold(m, active_mask(instruction), load, "mask")
        kept = hold(m, instruction.c, load, "kept")
        boxed = hold(m, scalar & instruction.mask[0], load, "boxed")
        return Outcome(
            box(merge(results, mask, kept), p.lane.width, boxed, boxed), merge_flags(flags, mask)
        )
