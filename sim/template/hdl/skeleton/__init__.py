"""The skeleton datapath: sum of absolute differences of two vectors."""

from hdl.datapath import Comparison, Datapath
from hdl.skeleton.configurations import DistanceConfiguration

#: Two lanes of 3 bits have 4096 inputs, so the testbench can try every one of them.
_SMALL = DistanceConfiguration(2, 3, "compressor")
_BASELINE = DistanceConfiguration(4, 8, "adders")
_CANDIDATE = DistanceConfiguration(4, 8, "compressor")

DATAPATH = Datapath(
    name="skeleton",
    summary="sum of absolute differences of two unsigned vectors",
    paper="none: the example that make new writes",
    work="difference",
    configurations=(_SMALL, _BASELINE, _CANDIDATE),
    small=_SMALL.name,
    mapped=(_SMALL.name, _BASELINE.name, _CANDIDATE.name),
    comparisons=(Comparison("4 lanes: one compressor", _BASELINE.name, _CANDIDATE.name),),
)
