"""The group of reductions: all active lanes of operand a make one result."""

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib.data import View

from hdl.fp16.group import Group, Outcome
from hdl.fp16.instruction import elements, index_of
from hdl.fp16.operation import FLAGS, Operation
from hdl.fp16.reduce import neutral_value, reduction_stages
from hdl.pipeline import hold, run_stages
from hdl.wire import wire


class ReduceGroup(Group):
    """REDUCE_SUM, REDUCE_MIN and REDUCE_MAX over the lanes whose mask bit is set.

    The result is in lane 0, whatever its mask bit; the other lanes are those of c. The levels
    of the tree are what the ranks of registers are spread over.
    """

    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        p = self.parameters
        index, mode = index_of(instruction), instruction.mode
        is_sum = wire(m, index == Operation.REDUCE_SUM.index, "is_sum")
        neutral = wire(m, neutral_value(p.lane, mode, is_sum), "inactive")
        lanes = elements(instruction.a, p.lane.width)[: p.lanes]
        inputs = {
            f"value_{number}": wire(m, Mux(active, lane, neutral), f"value_{number}")
            for number, (lane, active) in enumerate(zip(lanes, instruction.mask, strict=False))
        } | {
            "flags": Const(0, FLAGS.size),
            "mode": mode,
            "is_sum": is_sum,
            "is_maximum": index == Operation.REDUCE_MAX.index,
        }
        stages = reduction_stages(p.lane, p.lanes, platform)
        outputs = run_stages(m, stages, inputs, enables, "tree")
        kept = hold(m, instruction.c[p.lane.width :], enables, "kept")
        return Outcome(Cat(outputs["value_0"], kept), outputs["flags"])
