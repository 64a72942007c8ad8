"""Parts of the FP16 unit that need no simulation: parameters, codes, ranks, exports."""

import re

import pytest

import golden.fp16_instruction as golden
from golden.rounding import DZ, NV, NX, OF, UF
from golden.rounding import Mode as GoldenMode
from hdl.export import export
from hdl.fp16 import DATAPATH
from hdl.fp16.configurations import UnitConfiguration
from hdl.fp16.divide_group import DivideGroup
from hdl.fp16.format import BFLOAT16, FLOAT16, FLOAT32, TINY, Format
from hdl.fp16.instruction import instruction_layout
from hdl.fp16.operation import FLAGS, Form, Group, Mode, Number, Operation
from hdl.fp16.parameters import Depths, Parameters
from hdl.pipeline import ranks_after
from sim.ports import top_ports


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Operation, golden.Operation),
        (Group, golden.Group),
        (Form, golden.Form),
        (Number, golden.Number),
        (Mode, GoldenMode),
    ],
)
def test_codes_are_those_of_the_golden_model(ours: type, theirs: type) -> None:
    assert {each.name: each.value for each in ours} == {each.name: each.value for each in theirs}


def test_other_names_of_operations() -> None:
    """PULP's multiply-accumulates are fused multiply-adds whose addend is the destination."""
    assert Operation.MAC is Operation.FMADD
    assert Operation.MRE is Operation.FNMSUB


def test_flags_are_in_the_order_of_fflags() -> None:
    names = ("inexact", "underflow", "overflow", "divide_by_zero", "invalid")
    assert [1 << FLAGS[name].offset for name in names] == [NX, UF, OF, DZ, NV]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Parameters(lanes=0), "lanes is 0; allowed are 1 to 16"),
        (lambda: Parameters(lanes=17), "lanes is 17; allowed are 1 to 16"),
        (lambda: Parameters(lanes=4.0), "lanes is 4.0; allowed are 1 to 16"),
        (lambda: Parameters(tag_bits=0), "tag_bits is 0; allowed are 1 to 64"),
        (lambda: Parameters(FLOAT32), "width of the lane format is 32; allowed are 6 to 16"),
        (lambda: Depths(fma=5), "depth of fma is 5; allowed are 0 to 4"),
        (lambda: Depths(dot=-1), "depth of dot is -1; allowed are 0 to 4"),
        (lambda: Format(1, 4), "exponent_bits is 1; allowed are 2 to 11"),
        (lambda: Format(5, 1), "fraction_bits is 1; allowed are 2 to 52"),
    ],
)
def test_bad_parameters_are_refused(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("lane", "alternate", "wide"),
    [
        (FLOAT16, BFLOAT16, FLOAT32),
        (BFLOAT16, FLOAT16, FLOAT32),
        (TINY, Format(2, 3), Format(4, 7)),
    ],
)
def test_companions_of_a_format(lane: Format, alternate: Format, wide: Format) -> None:
    p = Parameters(lane)
    assert (p.alternate, p.wide) == (alternate, wide)
    assert (p.alternate.width, p.wide.width) == (lane.width, 2 * lane.width)


@pytest.mark.parametrize(
    ("lanes", "positions", "pairs"), [(1, 2, 1), (2, 2, 1), (3, 3, 1), (16, 16, 8)]
)
def test_a_register_has_room_for_a_wide_element(lanes: int, positions: int, pairs: int) -> None:
    p = Parameters(lanes=lanes)
    assert (p.positions, p.pairs) == (positions, pairs)
    assert instruction_layout(p)["mask"].width == positions
    assert instruction_layout(p)["a"].width == 16 * positions


def test_names_tell_configurations_apart() -> None:
    names = [each.name for each in DATAPATH.configurations]
    assert len(set(names)) == len(names) > 10
    assert UnitConfiguration(Parameters(depths=Depths.all(3))).name == "4xe5m10-depth3"
    assert UnitConfiguration().name == "4xe5m10-depth3.1.2.3.2.1"


@pytest.mark.parametrize("stages", range(1, 7))
@pytest.mark.parametrize("depth", range(5))
def test_ranks_are_spread_and_the_last_one_holds_the_result(stages: int, depth: int) -> None:
    ranks = ranks_after(stages, depth)
    assert len(ranks) == stages
    assert sum(ranks) == depth
    if depth:
        assert ranks[-1] >= 1
        assert max(ranks) <= -(-depth // stages)


def test_cycles_of_a_division() -> None:
    """What docs/fp16.md says; the testbench measures it."""
    for lane, cycles in ((FLOAT16, 17), (BFLOAT16, 14)):
        group = DivideGroup(Parameters(lane, 1))
        assert group.cycles == cycles
        export(group)


@pytest.mark.parametrize("tag_bits", [1, 64])
def test_the_extremes_of_tags_are_built(tag_bits: int) -> None:
    p = Parameters(TINY, 1, Depths.all(1), tag_bits)
    widths = {port.name: port.width for port in top_ports(export(UnitConfiguration(p).build()))}
    assert widths["o__payload"] == tag_bits + 1 + 5 + p.register_bits
