"""The groups of operations that never round: comparisons, extremes, signs, classes."""

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.data import View

from hdl.export import place
from hdl.fp16.compare import Compare
from hdl.fp16.group import Group as OperationGroup
from hdl.fp16.group import Outcome
from hdl.fp16.instruction import (
    active_mask,
    box,
    index_of,
    is_scalar,
    lane_operands,
    merge,
)
from hdl.fp16.operation import INDEX_BITS, Group, Operation
from hdl.pipeline import hold
from hdl.staged import connect_unit


class CompareGroup(OperationGroup):
    """COMPARE and SIGN, lane by lane. A comparison's result has one bit a lane, from bit 0 up."""

    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        p = self.parameters
        scalar = is_scalar(instruction)
        index = index_of(instruction)
        is_sign = instruction.operation[INDEX_BITS:] == Group.SIGN.value
        is_comparison = ~is_sign & (index < Operation.MIN.index)
        is_class = is_sign & (index == Operation.CLASSIFY.index)
        operands = [lane_operands(each, p, scalar) for each in (instruction.a, instruction.b)]
        lanes = []
        for number, (a, b) in enumerate(zip(*operands, strict=True)):
            lane = place(platform, Compare, p.lane, self.depth)
            inputs = {"a": a, "b": b, "is_sign": is_sign, "operation": index}
            connect_unit(m, f"lane_{number}", lane, self.depth, enables, **inputs)
            lanes.append(lane)
        mask = hold(m, active_mask(instruction), enables, "mask")
        kept = hold(m, instruction.c, enables, "kept")
        boxed = hold(m, scalar & instruction.mask[0], enables, "boxed")
        fill = hold(m, ~is_class, enables, "fill")
        merged = merge([lane.result for lane in lanes], mask, kept)
        holds = Cat(*(lane.holds & active for lane, active in zip(lanes, mask, strict=False)))
        invalid = Cat(*(lane.invalid & active for lane, active in zip(lanes, mask, strict=False)))
        return Outcome(
            Mux(
                hold(m, is_comparison, enables, "comparison"),
                holds,
                box(merged, p.lane.width, fill, boxed),
            ),
            Cat(Const(0, 4), invalid.any()),
        )
