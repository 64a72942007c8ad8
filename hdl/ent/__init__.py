"""EN-T: int8 matrix-multiply arrays whose operand encoders sit at the edge, not in every PE."""

from hdl.datapath import Comparison, Datapath, PublishedGain, Scale
from hdl.encoding import Encoding
from hdl.ent.configurations import (
    ArrayConfiguration,
    EntConfiguration,
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
#: The paper's code, and nothing but encoders at the edge.
AS_PUBLISHED: Variant = (Encoding.ENT, "edge", "pe")
#: Each idea alone, then both together, with other digits too.
CANDIDATES: dict[str, Variant] = {
    "encoder at the edge": (Encoding.ONE_HOT, "edge", "pe"),
    "correction at the edge": (Encoding.BOOTH, "pe", "edge"),
    "both at the edge": (Encoding.ONE_HOT, "edge", "edge"),
    "both, nine wires": (Encoding.NR4SD, "edge", "edge"),
    "both, sign-magnitude": (Encoding.ENT, "edge", "edge"),
}
BOTH = CANDIDATES["both at the edge"]
#: With lanes: their ones, summed at the edge beat by beat.
BEAT: Variant = (Encoding.ONE_HOT, "edge", "beat")
NINE_WIRES = CANDIDATES["both, nine wires"]
SCALES = {"256 GOPS": 256, "1 TOPS": 1024, "4 TOPS": 4096}
#: Rows and columns of each organisation: of a small array, and of one at each scale.
SIDES = ((4, 4), (16, 16), (32, 32), (64, 64))
ORGANISATIONS = {
    "systolic, output-stationary": SIDES,
    "systolic, weight-stationary": SIDES,
    "2-D matrix": SIDES,
    "3-D cube": ((2, 4), (4, 8), (8, 16), (16, 32)),
    "adder trees": ((1, 4), (1, 32), (1, 128), (1, 512)),
}
#: Lanes of the organisations that have any.
LANES = {"3-D cube": 8, "adder trees": 8}
#: By accumulator, ideas of which arrays of every organisation are mapped beside both baselines.
ARRAY_IDEAS: dict[Accumulation, dict[str, Variant]] = {
    "fused": {"encoders as published": AS_PUBLISHED, "both at the edge": BOTH},
    "carry-save": {"both at the edge": BOTH},
}


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


def _array(
    organisation: str, sides: tuple[int, int], variant: Variant, accumulation: Accumulation
) -> EntConfiguration:
    """An int8 array of one organisation."""
    lanes = LANES.get(organisation, 1)
    parameters = _parameters(variant, accumulation=accumulation, lanes=lanes)
    match organisation.partition(",")[0], organisation.partition("-")[0]:
        case "systolic", "systolic, weight":
            return WeightStationaryConfiguration(*sides, parameters)
        case "systolic", _:
            return ArrayConfiguration(*sides, parameters)
    return ArrayConfiguration(*sides, parameters, operands="broadcast")


def _small(organisation: str, variant: Variant, accumulation: Accumulation) -> EntConfiguration:
    return _array(organisation, ORGANISATIONS[organisation][0], variant, accumulation)


def _ideas(organisation: str, accumulation: Accumulation) -> dict[str, Variant]:
    """What is mapped of an organisation beside the baselines."""
    ideas = ARRAY_IDEAS[accumulation]
    return ideas | {"both at the edge": BEAT} if organisation in LANES else ideas


def _variants(organisation: str, accumulation: Accumulation) -> tuple[Variant, ...]:
    return (BASELINE, REGISTERED, *_ideas(organisation, accumulation).values())


_SMALL = ArrayConfiguration(2, 2, _parameters(NINE_WIRES, 4, 12))
_MAPPED = (
    *(_pe(variant) for variant in (BASELINE, REGISTERED, *CANDIDATES.values())),
    *(_pe(variant, "separate") for variant in (BASELINE, BOTH)),
    *(_pe(variant, "carry-save") for variant in (BASELINE, REGISTERED, *CANDIDATES.values())),
    *(
        _small(organisation, variant, accumulation)
        for organisation in ORGANISATIONS
        for accumulation in ARRAY_IDEAS
        for variant in _variants(organisation, accumulation)
    ),
)
_CHECKED = (
    *(ArrayConfiguration(8, 8, _parameters(variant)) for variant in (BASELINE, BOTH)),
    *(
        PEConfiguration(_parameters((encoding, encode_at, correct_at), 8, 16))
        for encoding in Encoding
        for encode_at in ("pe", "edge")
        for correct_at in ("pe", "edge")
    ),
    *(
        PEConfiguration(_parameters((encoding, place, place), bits, accumulator_bits))
        for encoding in Encoding
        for place, bits, accumulator_bits in (("pe", 4, 12), ("edge", 4, 12), ("edge", 16, 40))
    ),
    *(
        PEConfiguration(_parameters(variant, 4, 12, accumulation, lanes))
        for variant in (BASELINE, REGISTERED, (Encoding.ENT, "pe-register", "edge"), BOTH)
        for accumulation, lanes in (("separate", 1), ("carry-save", 1), ("separate", 3))
    ),
    PEConfiguration(_parameters(BEAT, 4, 12, "separate", 3)),
    PEConfiguration(_parameters((Encoding.BOOTH, "pe-register", "beat"), 8, 20, "fused", 2)),
    ArrayConfiguration(3, 5, _parameters((Encoding.ENT, "edge", "pe"), 8, 20)),
    ArrayConfiguration(2, 3, _parameters(BEAT, 4, 12, "fused", 2)),
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
            (2, 3, 1, _parameters((Encoding.NR4SD, "pe", "beat"), 4, 12, "separate", 3)),
            (1, 3, 2, _parameters(BEAT, 8, 20, "carry-save", 4)),
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
            for accumulation in ("fused", "carry-save")
            for idea, variant in CANDIDATES.items()
        ),
        Comparison("PE: fused tree", _pe(BASELINE, "separate").name, _pe(BASELINE).name),
        *(
            Comparison(
                f"{organisation}{against}: {accumulation}, {idea}",
                _small(organisation, baseline, accumulation).name,
                _small(organisation, variant, accumulation).name,
                PUBLISHED,
            )
            for organisation in ORGANISATIONS
            for accumulation in ARRAY_IDEAS
            for against, baseline in (("", BASELINE), (", encoders registered", REGISTERED))
            for idea, variant in _ideas(organisation, accumulation).items()
        ),
    ),
    scales=tuple(
        Scale(
            scale,
            organisation,
            multipliers,
            _small(organisation, variant, accumulation).name,
            _array(organisation, sides, variant, accumulation),
        )
        for organisation, (_, *large) in ORGANISATIONS.items()
        for (scale, multipliers), sides in zip(SCALES.items(), large, strict=True)
        for accumulation in ARRAY_IDEAS
        for variant in _variants(organisation, accumulation)
    ),
    published_gains=(
        PublishedGain("256 GOPS", 8.7, 13.0),
        PublishedGain("1 TOPS", 12.2, 17.5),
        PublishedGain("4 TOPS", 11.0, 15.5),
    ),
)
