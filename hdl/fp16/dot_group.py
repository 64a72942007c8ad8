"""The group of dot products: pairs of lanes, added to an element of c."""

from amaranth.hdl import Module, Mux, Value
from amaranth.lib.data import View

from hdl.export import place
from hdl.fp16.dot import DotProduct
from hdl.fp16.group import Group, Outcome
from hdl.fp16.instruction import elements, index_of, merge, merge_flags
from hdl.pipeline import hold
from hdl.staged import connect_unit
from hdl.wire import wire


class DotGroup(Group):
    """DOTP, NDOTP and VSUM into a lane for each pair of lanes, and the EX ones into wide elements.

    Pair p is of lanes 2p and 2p + 1, all that a register has room for; c and the result are lane
    or wide element p.
    """

    def execute(self, m: Module, platform: object, instruction: View, enables: Value) -> Outcome:
        p = self.parameters
        index = index_of(instruction)
        is_wide = wire(m, index[-1], "is_wide")
        a, b, c = (elements(instruction[name], p.lane.width) for name in "abc")
        c_wide = elements(instruction.c, p.wide.width)
        results, flags = [], []
        for pair in range(p.pairs):
            unit = place(platform, DotProduct, p.lane, p.wide, self.depth)
            connect_unit(
                m,
                f"pair_{pair}",
                unit,
                self.depth,
                enables,
                a0=a[2 * pair],
                b0=b[2 * pair],
                a1=a[2 * pair + 1],
                b1=b[2 * pair + 1],
                c=Mux(is_wide, c_wide[pair], c[pair]),
                operation=index,
                mode=instruction.mode,
            )
            results.append(unit.result)
            flags.append(unit.flags.as_value())
        mask = hold(m, instruction.mask[: p.pairs], enables, "mask")
        kept = hold(m, instruction.c, enables, "kept")
        lanes = merge([result[: p.lane.width] for result in results], mask, kept)
        wide = merge(results, mask, kept)
        expands = hold(m, is_wide, enables, "expands")
        return Outcome(Mux(expands, wide, lanes), merge_flags(flags, mask))
