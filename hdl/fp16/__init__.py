"""FP16 SIMD unit: IEEE 754 arithmetic in lanes, with expanding dot products."""

from hdl.datapath import Datapath, Reference
from hdl.fp16.configurations import FMAConfiguration, UnitConfiguration
from hdl.fp16.format import BFLOAT16, FLOAT16, TINY, Format
from hdl.fp16.parameters import Depths, Parameters


def _unit(lanes: int, depth: int, format: Format = FLOAT16) -> UnitConfiguration:
    return UnitConfiguration(Parameters(format, lanes, Depths.all(depth)))


_SMALL = _unit(2, 1, TINY)
_LANES = tuple(FMAConfiguration(format) for format in (FLOAT16, BFLOAT16, TINY))
_DEPTHS = tuple(_unit(4, depth) for depth in range(5))
_CHECKED = (
    _unit(1, 0, TINY),
    _unit(5, 2, TINY),
    _unit(1, 2),
    _unit(2, 1, BFLOAT16),
    UnitConfiguration(Parameters(FLOAT16, 3, Depths(4, 0, 1, 3, 2, 0))),
    UnitConfiguration(),
    UnitConfiguration(Parameters(FLOAT16, 16)),
)

_LANE = _LANES[0].name
_FPNEW = "fpnew_fma of cvfpu (openhwgroup), format (5,10), all modes and flags, no registers"
_HARDFLOAT = "mulAddRecFN of berkeley-hardfloat (5,11), recoding in and out, no registers"
#: Areas in µm² and delays in ns as the project measured them, with the full cell libraries.
_REFERENCES = (
    Reference("FPnew FMA", _LANE, "sky130hd", (9165.0, 29.8), (12826.0, 10.6), _FPNEW),
    Reference("HardFloat mulAdd", _LANE, "sky130hd", (10636.0, 26.7), (14916.0, 10.2), _HARDFLOAT),
    Reference("FPnew FMA", _LANE, "sg13g2", fastest=(22429.0, 9.6), source=_FPNEW),
    Reference("HardFloat mulAdd", _LANE, "sg13g2", fastest=(24254.0, 8.6), source=_HARDFLOAT),
)

DATAPATH = Datapath(
    name="fp16",
    summary="SIMD floating point: fused multiply-add, expanding dot product, all modes and flags",
    paper="D. Nadalini et al., FGCS 149 (2023) 212-226 (arXiv 2305.19167), and cvfpu's operations",
    work="FMA",
    configurations=(_SMALL, *_LANES, *_DEPTHS, *_CHECKED),
    small=_SMALL.name,
    mapped=(_LANE, *(configuration.name for configuration in _DEPTHS)),
    references=_REFERENCES,
)
