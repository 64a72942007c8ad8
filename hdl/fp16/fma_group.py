"""The group of additions, multiplications and fused multiply-adds: a lane of it for each lane."""

from amaranth.hdl import Module, Mux, Value
from amaranth.lib.data import View

from hdl.export import place
from hdl.fp16.fma import FusedMultiplyAdd
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
from hdl.pipeline import hold
from hdl.staged import connect_unit
from hdl.wire import wire


class FMAGroup(Group):
    """ADD, SUB, MUL, FMADD, FMSUB, FNMSUB and FNMADD, lane by lane."""

    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        p = self.parameters
        scalar = is_scalar(instruction)
        operands = [
            lane_operands(register, p, scalar)
            for register in (instruction.a, instruction.b, instruction.c)
        ]
        index = index_of(instruction)
        # A lane adds its third operand; a sum has two.
        is_sum = wire(m, index <= Operation.SUB.index, "is_sum")
        results, flags = [], []
        for number, (a, b, c) in enumerate(zip(*operands, strict=True)):
            lane = place(platform, FusedMultiplyAdd, p.lane, self.depth)
            connect_unit(
                m,
                f"lane_{number}",
                lane,
                self.depth,
                enables,
                a=a,
                b=b,
                c=Mux(is_sum, b, c),
                operation=index,
                mode=instruction.mode,
            )
            results.append(lane.result)
            flags.append(lane.flags.as_value())
        mask = hold(m, active_mask(instruction), enables, "mask")
        kept = hold(m, instruction.c, enables, "kept")
        boxed = hold(m, scalar & instruction.mask[0], enables, "boxed")
        return Outcome(
            box(merge(results, mask, kept), p.lane.width, boxed, boxed), merge_flags(flags, mask)
        )
