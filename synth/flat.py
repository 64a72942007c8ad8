"""What a design costs if nothing is kept whole: the check on what is composed of blocks."""

from synth.blocks import cut, flatten
from synth.cost import map_blocks
from synth.libraries import Choice
from synth.mapping import Mappings


def map_flat(rtlil: str, choice: Choice, period_ps: float) -> Mappings:
    """The whole design as one block, mapped in every way, for a clock.

    Circuits of the same inputs merge: where neighbours get the same operand, the baseline's
    encoders become one. So this is no baseline, and possible for small arrays only.
    """
    (mapped,) = map_blocks(cut(flatten(rtlil)), choice, [period_ps])
    return mapped
