"""EN-T: int8 matrix-multiply arrays whose operand encoders sit at the edge, not in every PE."""

from hdl.datapath import Comparison, Datapath
from hdl.encoding import Encoding
from hdl.ent.configurations import (
    ArrayConfiguration,
    PEConfiguration,
    WeightStationaryConfiguration,
)
from hdl.ent.parameters import Accumulation, Parameters

PUBLISHED = (
    "area efficiency +8.7, +12.2, +11.0 % on average at 256 GOPS, 1 TOPS, 4 TOPS; "
    "process not available"
)

#: (encoding, encode_at, correct_at) of every variant.
Variant = tuple[Encoding, str, str]
BASELINE: Variant = (Encoding.BOOTH, "pe", "pe")
#: The baseline with a register behind its encoder, for fast clocks.
REGISTERED: Variant = (Encoding.BOOTH, "pe-register", "pe")
#: Each idea alone, then both together, with other digits too.
CANDIDATES: dict[str, Variant] = {
    "encoder at the edge": (Encoding.ONE_HOT, "edge", "pe"),
    "correction at the edge": (Encoding.BOOTH, "pe", "edge"),
    "both at the edge": (Encoding.ONE_HOT, "edge", "edge"),
    "both at the edge, nine wires": (Encoding.NR4SD, "edge", "edge"),
    "both at the edge, sign-magnitude": (Encoding.ENT, "edge", "edge"),
}
BOTH = CANDIDATES["both at the edge"]
NINE_WIRES = CANDIDATES["both at the edge, nine wires"]
VARIANTS = (BASELINE, REGISTERED, *CANDIDATES.values())
ACCUMULATIONS: tuple[Accumulation, ...] = ("fused", "carry-save")


def _parameters(
    variant: Variant,
    operand_bits: int = 8,
    accumulator_bits: int = 32,
    accumulation: Accumulation = "fused",
    lanes: int = 1,
) -> Parameters:
    return Parameters(operand_bits, accumulator_bits, *variant, accumulation, lanes)


def _pe(variant: Variant, accumulation: Accumulation = "fused") -> PEConfiguration:
    return PEConfiguration(_parameters(variant, accumulation=accumulation))


def _square(side: int, variant: Variant) -> ArrayConfiguration:
    return ArrayConfiguration(side, side, _parameters(variant))


_SMALL = ArrayConfiguration(2, 2, _parameters(NINE_WIRES, 4, 12))
_MAPPED = (
    *(_pe(variant, how) for how in ACCUMULATIONS for variant in VARIANTS),
    *(_square(8, variant) for variant in (BASELINE, BOTH)),
)
_CHECKED = (
    *(
        PEConfiguration(_parameters((encoding, encode_at, correct_at), bits, accumulator_bits))
        for encoding in Encoding
        for encode_at in ("pe", "edge")
        for correct_at in ("pe", "edge")
        for bits, accumulator_bits in ((4, 12), (8, 16), (16, 40))
    ),
    *(
        PEConfiguration(_parameters(variant, 4, 12, accumulation, lanes))
        for variant in (BASELINE, REGISTERED, (Encoding.ENT, "pe-register", "edge"), BOTH)
        for accumulation, lanes in (("separate", 1), ("carry-save", 1), ("separate", 3))
    ),
    ArrayConfiguration(3, 5, _parameters((Encoding.ENT, "edge", "pe"), 8, 20)),
    ArrayConfiguration(5, 3, _parameters((Encoding.NR4SD, "pe", "edge"), 8, 16)),
    ArrayConfiguration(1, 1, _parameters((Encoding.BOOTH, "edge", "edge"), 4, 8)),
    ArrayConfiguration(4, 2, _parameters(NINE_WIRES, 16, 40), 2),
    ArrayConfiguration(3, 4, _parameters((Encoding.ENT, "edge", "edge"), 8, 20, "carry-save")),
    ArrayConfiguration(2, 3, _parameters(REGISTERED, 4, 12, "carry-save"), 2),
    ArrayConfiguration(
        3, 2, _parameters((Encoding.BOOTH, "pe-register", "edge"), 4, 12, "separate")
    ),
    *(
        ArrayConfiguration(rows, columns, parameters, buffered_tiles, "broadcast")
        for rows, columns, buffered_tiles, parameters in (
            (9, 3, 1, _parameters(BASELINE, 4, 12)),
            (3, 5, 2, _parameters(BOTH, 8, 16, "carry-save")),
            (2, 10, 1, _parameters((Encoding.ENT, "edge", "edge"), 4, 12, "carry-save", 2)),
            (1, 3, 1, _parameters(NINE_WIRES, 8, 24, "fused", 4)),
            (2, 2, 2, _parameters(REGISTERED, 4, 14, "separate", 3)),
            (3, 1, 1, _parameters((Encoding.NR4SD, "pe-register", "edge"), 4, 12, "fused", 2)),
        )
    ),
    *(
        WeightStationaryConfiguration(rows, columns, parameters)
        for rows, columns, parameters in (
            (1, 1, _parameters((Encoding.BOOTH, "edge", "edge"), 4, 8)),
            (2, 2, _parameters(NINE_WIRES, 4, 12)),
            (3, 5, _parameters((Encoding.ENT, "edge", "pe"), 8, 20, "carry-save")),
            (5, 2, _parameters((Encoding.NR4SD, "pe", "edge"), 8, 19, "separate")),
            (5, 2, _parameters(REGISTERED, 4, 12, "carry-save")),
            (1, 4, _parameters((Encoding.ENT, "pe-register", "edge"), 4, 12, "separate")),
            (7, 1, _parameters(BASELINE, 4, 11, "separate")),
            (3, 5, _parameters((Encoding.ENT, "edge", "edge"), 4, 10, "carry-save")),
            (6, 3, _parameters((Encoding.BOOTH, "pe", "edge"), 4, 18, "carry-save")),
            (2, 3, _parameters(BOTH, 16, 40, "carry-save")),
            (8, 8, _parameters(BOTH, 8, 20)),
        )
    ),
)

DATAPATH = Datapath(
    name="ent",
    summary="matrix-multiply arrays with operand encoders at their edge",
    paper="Q. Wu et al., EN-T, ICCD 2024, pp. 608-615 (arXiv 2404.11887)",
    work="MAC",
    configurations=(_SMALL, *_MAPPED, *_CHECKED),
    small=_SMALL.name,
    mapped=tuple(configuration.name for configuration in _MAPPED),
    comparisons=(
        *(
            Comparison(
                f"PE, {accumulation}: {idea}",
                _pe(BASELINE, accumulation).name,
                _pe(variant, accumulation).name,
                PUBLISHED,
            )
            for accumulation in ACCUMULATIONS
            for idea, variant in CANDIDATES.items()
        ),
        Comparison(
            "8×8: both at the edge", _square(8, BASELINE).name, _square(8, BOTH).name, PUBLISHED
        ),
    ),
)
