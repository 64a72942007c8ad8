"""Faults in the FP16 datapath that its testbenches must find: those that units of its kind had."""

from mutation import Mutant

LANE = "fma-e5m10"
UNIT = "2xe3m2-depth1"
MIXED = "3xe5m10-depth4.0.1.3.2.0"


def _mutant(fault: str, file: str, old: str, new: str, found_by: str, config: str = LANE) -> Mutant:
    return Mutant(fault, file, old, new, config, found_by, datapath="fp16")


def _unit(fault: str, file: str, old: str, new: str, found_by: str = "every_operation") -> Mutant:
    return _mutant(fault, file, old, new, found_by, UNIT)


MUTANTS = (
    _mutant(
        "what the addend loses to the right is not sticky",
        "fp16/fma.py",
        '"sticky": any_below | inputs["lost"]',
        '"sticky": any_below',
        "corners",
    ),
    _mutant(
        "what normalisation leaves below is not sticky",
        "fp16/fma.py",
        '"sticky": any_below | inputs["lost"]',
        '"sticky": inputs["lost"]',
        "corners",
    ),
    _mutant(
        "tininess is detected before rounding",
        "fp16/rounding.py",
        "underflow=inexact & ~leading & ~becomes_normal",
        "underflow=inexact & ~leading",
        "corners",
    ),
    _mutant(
        "ties away from zero go to even",
        "fp16/rounding.py",
        "guard & (sticky | last | self._away)",
        "guard & (sticky | last)",
        "corners",
    ),
    _mutant(
        "an exact cancellation is +0 when rounding down",
        "fp16/fma.py",
        "Mux(cancelled, mode == Mode.RDN.value, sign)",
        "Mux(cancelled, 0, sign)",
        "corners",
    ),
    _mutant(
        "leading zeros are counted one too many",
        "fp16/fma.py",
        "count_leading_zeros(m, magnitude | stop)",
        "count_leading_zeros(m, Cat(magnitude | stop, 0))",
        "corners",
    ),
    _mutant(
        "the missing one of an inverse is forgotten",
        "fp16/fma.py",
        '"carry": pending & all_below',
        '"carry": Const(0, 1)',
        "corners",
    ),
    _mutant(
        "overflow gives infinity whatever the mode",
        "fp16/rounding.py",
        "Mux(rounder.overflows_to_infinity, infinity, largest)",
        "infinity",
        "corners",
    ),
    _mutant(
        "infinity times zero is not invalid",
        "fp16/fma.py",
        "        | (a.is_zero & b.is_infinite)\n",
        "",
        "corners",
    ),
    _mutant(
        "a signalling addend is not invalid",
        "fp16/fma.py",
        "(a.is_signalling | b.is_signalling | c.is_signalling)",
        "(a.is_signalling | b.is_signalling)",
        "corners",
    ),
    _mutant(
        "shifts of 32 and more are of less",
        "fp16/fma.py",
        "distance = shift[:-1] &",
        "distance = Cat(shift[:5], 0) &",
        "corners",
    ),
    _unit(
        "flags of inactive lanes leak out",
        "fp16/instruction.py",
        "(Value.cast(each) & active.replicate(len(total)))",
        "Value.cast(each)",
        "flags_of_inactive_lanes",
    ),
    _unit(
        "only the top bit of a box is looked at",
        "fp16/instruction.py",
        "scalar & ~register[width:].all()",
        "scalar & ~register[-1]",
    ),
    _unit(
        "a scalar's result is not boxed",
        "fp16/fma_group.py",
        "box(merge(results, mask, kept), p.lane.width, boxed, boxed)",
        "merge(results, mask, kept)",
    ),
    _unit(
        "NE signals quiet NaNs",
        "fp16/compare.py",
        "is_quiet = (operation == Operation.EQ.index) | (operation == Operation.NE.index)",
        "is_quiet = operation == Operation.EQ.index",
    ),
    _unit(
        "the smaller of two zeros is the first",
        "fp16/compare.py",
        "less = Mux(differs, a.sign,",
        "less = Mux(differs, a.sign & ~(a.is_zero & b.is_zero),",
    ),
    _unit(
        "division by zero goes without its flag",
        "fp16/divide.py",
        "is_exception & ~is_nan,",
        "Const(0, 1),",
    ),
    _unit(
        "the remainder of a division is not sticky",
        "fp16/divide.py",
        "Cat(lost | remainder.any(), moved[:-1])",
        "Cat(lost, moved[:-1])",
    ),
    _unit(
        "an integer out of range is inexact as well",
        "fp16/convert.py",
        "is_finite & ~(is_integer & is_outside)",
        "is_finite",
    ),
    _mutant(
        "what a term of a dot product loses to the right is not sticky",
        "fp16/dot.py",
        '"lost": y_lost | z_lost,',
        '"lost": y_lost,',
        "every_operation",
        MIXED,
    ),
    _unit(
        "opposite infinities in a dot product are not invalid",
        "fp16/dot_terms.py",
        "Cat(meaningless).any() | (above & below)",
        "Cat(meaningless).any()",
    ),
    _unit(
        "a reserved mode is taken",
        "fp16/decode.py",
        "instruction.mode > Mode.RMM.value",
        "instruction.mode > Mode.RMM.value + 1",
        "reserved_codes",
    ),
    _unit(
        "an offer that waits is exchanged for an older one",
        "fp16/arbiter.py",
        "held.eq(self.o.valid & ~self.o.ready)",
        "held.eq(0)",
        "all_stalls",
    ),
    _mutant(
        "younger results come first",
        "fp16/arbiter.py",
        "is_older[i, j] = difference[-1]\n                is_older[j, i] = ~difference[-1]",
        "is_older[i, j] = ~difference[-1]\n                is_older[j, i] = difference[-1]",
        "all_groups_mixed",
        MIXED,
    ),
    _mutant(
        "what waits is overwritten",
        "fp16/skid.py",
        "with m.If(self.i.ready):",
        "with m.If(self.i.valid):",
        "all_stalls",
        MIXED,
    ),
    _unit(
        "registers move on while the output is refused",
        "pipeline.py",
        "moves = ~occupied[rank] | moves",
        "moves = ~occupied[rank] | moves | (rank == 0)",
        "all_stalls",
    ),
    _unit(
        "a flush leaves what is inside",
        "pipeline.py",
        "with m.If(flush):",
        "with m.If(flush & 0):",
        "reset_and_flush_in_mid_stream",
    ),
    _unit(
        "what stalls the input does not show",
        "fp16/top.py",
        "self.status.input_stalled.eq(self.i.valid & ~self.i.ready)",
        "self.status.input_stalled.eq(0)",
        "all_stalls",
    ),
    _unit(
        "errors are counted when they are offered, not taken",
        "fp16/top.py",
        "with m.If(self.o.valid & self.o.ready & self.o.payload.error & ~errors.all()):",
        "with m.If(self.o.valid & self.o.payload.error & ~errors.all()):",
        "reserved_codes",
    ),
)
