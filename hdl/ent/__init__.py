"""EN-T: an int8 matrix-multiply array whose operand encoders sit at the edge, not in every PE."""

from itertools import product

from hdl.datapath import Comparison, Datapath
from hdl.encoding import Encoding
from hdl.ent.configurations import ArrayConfiguration, PEConfiguration
from hdl.ent.parameters import Parameters

PUBLISHED = (
    "area efficiency +8.7, +12.2, +11.0 % on average at 256 GOPS, 1 TOPS, 4 TOPS; "
    "process not available"
)

#: (encoding, encode_at, correct_at) of every variant.
VARIANTS = tuple(product(Encoding, ("pe", "edge"), ("pe", "edge")))
BASELINE = (Encoding.BOOTH, "pe", "pe")
#: Each idea alone, then both together.
CANDIDATES = {
    "encoder at the edge": (Encoding.NR4SD, "edge", "pe"),
    "correction at the edge": (Encoding.BOOTH, "pe", "edge"),
    "both at the edge": (Encoding.NR4SD, "edge", "edge"),
    "both at the edge, sign-magnitude": (Encoding.ENT, "edge", "edge"),
}
SIDES = (4, 8)


def _parameters(variant: tuple, operand_bits: int = 8, accumulator_bits: int = 32) -> Parameters:
    return Parameters(operand_bits, accumulator_bits, *variant)


def _pe(variant: tuple) -> PEConfiguration:
    return PEConfiguration(_parameters(variant))


def _square(side: int, variant: tuple) -> ArrayConfiguration:
    return ArrayConfiguration(side, side, _parameters(variant))


_COMPARED = (BASELINE, *CANDIDATES.values())
_SMALL = ArrayConfiguration(2, 2, _parameters(CANDIDATES["both at the edge"], 4, 12))
_MAPPED = (
    *(_pe(variant) for variant in VARIANTS),
    *(_square(side, variant) for side in SIDES for variant in _COMPARED),
)
_CHECKED = (
    *(PEConfiguration(_parameters(variant, 4, 12)) for variant in VARIANTS),
    *(PEConfiguration(_parameters(variant, 16, 40)) for variant in VARIANTS),
    ArrayConfiguration(3, 5, _parameters((Encoding.ENT, "edge", "pe"), 8, 20)),
    ArrayConfiguration(5, 3, _parameters((Encoding.NR4SD, "pe", "edge"), 8, 16)),
    ArrayConfiguration(1, 1, _parameters((Encoding.BOOTH, "edge", "edge"), 4, 8)),
    ArrayConfiguration(4, 2, _parameters((Encoding.NR4SD, "edge", "edge"), 16, 40), 2),
)

DATAPATH = Datapath(
    name="ent",
    summary="output-stationary systolic array with operand encoders at its edge",
    paper="Q. Wu et al., EN-T, ICCD 2024, pp. 608-615 (arXiv 2404.11887)",
    work="MAC",
    configurations=(_SMALL, *_MAPPED, *_CHECKED),
    small=_SMALL.name,
    mapped=tuple(configuration.name for configuration in _MAPPED),
    comparisons=tuple(
        Comparison(f"{level}: {idea}", build(BASELINE).name, build(variant).name, PUBLISHED)
        for level, build in (
            ("PE", _pe),
            *(
                (f"{side}×{side}", lambda variant, side=side: _square(side, variant))
                for side in SIDES
            ),
        )
        for idea, variant in CANDIDATES.items()
    ),
)
