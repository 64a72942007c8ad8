"""All pairs of operands: what is swept is the lane, and what is wrong with it is found."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Value
from float_reference import specials
from test_evaluate import in_slices

from golden.float_format import FLOAT16 as GOLDEN_FLOAT16
from golden.fp16_instruction import Operation
from golden.rounding import Mode
from hdl.export import export
from hdl.fp16.compare import Compare
from hdl.fp16.fma import FusedMultiplyAdd
from hdl.fp16.format import FLOAT16
from hdl.fp16.rounding import Rounder
from sim.evaluate import build_evaluator
from sim.fp16 import exhaustive
from sim.fp16.campaign import Campaign, Sweep
from sim.fp16.exhaustive import plan, run_sweeps
from sim.fp16.oracle import wanted
from sim.fp16.sweep import FLAG_SHIFT, OPERANDS, Outcome, sweep, swept_form
from sim.sliced import build_sliced
from sim.tools import ToolError

ROWS = 1 << 20
FMA, COMPARE = exhaustive.LANES
#: Subnormal, normal and special first operands.
SOME = (0x0000, 0x83FF, 0x3C01, 0xFBFF, 0x7D00)


@cache
def fma_lane() -> str:
    return export(FusedMultiplyAdd(FLOAT16))


@cache
def compare_lane() -> str:
    return export(Compare(FLOAT16))


def lane_of(operation: Operation) -> str:
    return fma_lane() if operation <= Operation.FNMADD else compare_lane()


def patterns(rng: np.random.Generator) -> np.ndarray:
    """A million operands: specials, few bits set or cleared, and random ones."""
    few = 1 << rng.integers(0, 16, ROWS) | 1 << rng.integers(0, 16, ROWS)
    kinds = [
        rng.choice(specials(GOLDEN_FLOAT16), ROWS),
        few ^ np.where(rng.random(ROWS) < 0.5, 0xFFFF, 0),
        rng.integers(0, 1 << 16, ROWS),
    ]
    return np.choose(rng.integers(0, len(kinds), ROWS), kinds)


@pytest.mark.parametrize(
    "operation", [Operation.ADD, Operation.SUB, Operation.MUL, Operation.EQ], ids=str
)
def test_sliced_lane_equals_the_lane(operation: Operation) -> None:
    """Each circuit that is swept, with all that is left to choose in it, on a million rows."""
    rng = np.random.default_rng(operation)
    form, rtlil = swept_form(operation), lane_of(operation)
    constants = dict(form.constants)
    given = {"a": patterns(rng), form.second: patterns(rng)}
    widths = {"a": 16, form.second: 16}
    if operation is Operation.EQ:
        given |= {"operation": rng.integers(0, 8, ROWS), "is_sign": rng.integers(0, 2, ROWS)}
        widths |= {"operation": 3, "is_sign": 1}
    else:
        given["mode"], widths["mode"] = rng.integers(0, 5, ROWS), 3
    whole = build_evaluator(rtlil)(**given, **constants)
    sliced = in_slices(build_sliced(rtlil, constants, form.outputs), given, widths)
    assert set(sliced) == set(form.outputs)
    for name in form.outputs:
        assert sliced[name].size == ROWS
        assert (sliced[name] == whole[name]).all(), name
        assert len(np.unique(sliced[name])) > 1


@pytest.mark.parametrize("each", plan(), ids=lambda each: each.name)
def test_some_operands_with_all_others(each: Sweep) -> None:
    for a in SOME:
        outcome = sweep(lane_of(each.operation), each.operation, each.mode, range(a, a + 1))
        assert not outcome.mismatches, f"{each.name}: {outcome.examples[0]}"
        assert outcome.pairs == OPERANDS


def test_the_plan_has_everything() -> None:
    names = {each.name for each in plan()}
    assert names == {
        *(f"{name} {mode.name}" for name in ("ADD", "SUB", "MUL") for mode in Mode),
        *(f"{name} any" for name in ("EQ", "NE", "LT", "LE", "GT", "GE", "MIN", "MAX")),
        *("SGNJ any", "SGNJN any", "SGNJX any"),
    }
    assert len(plan()) == 26


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> str:
    """The lane with its sticky bit inverted where a rounding is decided."""
    right = Rounder.increments

    def wrong(self: Rounder, last: Value, guard: Value, sticky: Value) -> Value:
        return right(self, last, guard, ~sticky)

    monkeypatch.setattr(Rounder, "increments", wrong)
    return export(FusedMultiplyAdd(FLOAT16))


def test_a_fault_is_found_and_its_operands_are_named(faulty: str, tmp_path: Path) -> None:
    add, campaign = Sweep(FMA, Operation.ADD, Mode.RNE), Campaign(faulty, tmp_path, 4, 64)
    found = list(run_sweeps([add], {FMA: campaign}, 1))
    assert found[-1][0] == add
    outcome = found[-1][1]
    assert outcome is not None
    assert outcome.mismatches > 100
    assert outcome.examples
    lane = build_evaluator(faulty)
    for example in outcome.examples:
        got = lane(a=example.a, b=0, c=example.b, operation=0, mode=0)
        assert example.got == int(got["result"]) | int(got["flags"]) << FLAG_SHIFT
        bits, flags = wanted(Operation.ADD, Mode.RNE, example.a, example.b)
        assert example.wanted == int(bits) | int(flags) << FLAG_SHIFT
        assert example.got != example.wanted
        assert f"{example.a:04x} {example.b:04x}: got " in str(example)
    # A chunk ends early, others are not begun, and all have to be done again.
    assert sweep(faulty, Operation.ADD, Mode.RNE, range(64)).pairs == 2 * OPERANDS
    assert outcome.pairs < 64 * 4 * OPERANDS // 2
    assert Campaign(faulty, tmp_path, 4, 64).missing(add) == list(range(64))


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    sweeps = [Sweep(FMA, Operation.MUL, Mode.RUP), Sweep(COMPARE, Operation.LT)]

    def campaigns(appendix: str = "") -> dict[str, Campaign]:
        return {
            FMA: Campaign(fma_lane() + appendix, tmp_path, 1, 3),
            COMPARE: Campaign(compare_lane(), tmp_path, 1, 3),
        }

    first = campaigns()
    running = run_sweeps(sweeps, first, 1)
    for _ in range(2):
        next(running)
    running.close()
    second = campaigns()
    left = {each: second[each.config].missing(each) for each in sweeps}
    assert 0 < sum(map(len, left.values())) < 6
    done = list(run_sweeps(sweeps, second, 2))
    assert sum(outcome is None for _, outcome in done) == sum(map(len, left.values()))
    ends = {each: outcome for each, outcome in done if outcome}
    assert {each: outcome.pairs for each, outcome in ends.items()} == dict.fromkeys(
        sweeps, 3 * OPERANDS
    )
    assert all(outcome.seconds > 0 and not outcome.mismatches for outcome in ends.values())
    third = campaigns()
    assert [third[each.config].missing(each) for each in sweeps] == [[], []]
    assert dict(run_sweeps(sweeps, third, 1)) == ends
    changed = campaigns("# another circuit\n")
    assert [changed[each.config].missing(each) for each in sweeps] == [[0, 1, 2], []]


def test_nothing_is_passed_over(tmp_path: Path) -> None:
    add = Sweep(FMA, Operation.ADD, Mode.RNE)
    campaign = Campaign("a circuit", tmp_path, 1, 2)
    for pairs in (0, OPERANDS - 1):
        with pytest.raises(ToolError, match="only"):
            campaign.add(add, 0, Outcome(pairs, 0, 1.0))
    campaign.add(add, 0, Outcome(OPERANDS, 0, 1.0))
    campaign.add(add, 1, Outcome(100, 5, 1.0))
    assert campaign.outcome(add).mismatches == 5
    assert Campaign("a circuit", tmp_path, 1, 2).missing(add) == [1]
    state = next(tmp_path.rglob("state.json"))
    state.write_text(state.read_text()[:-3])
    assert Campaign("a circuit", tmp_path, 1, 2).missing(add) == [0, 1]
    with pytest.raises(ToolError, match="nothing was compared"):
        exhaustive._conclude([], 1.0)


def test_an_operation_the_oracle_does_not_know_is_an_error(tmp_path: Path) -> None:
    classify = Sweep(COMPARE, Operation.CLASSIFY)
    campaign = Campaign(compare_lane(), tmp_path, 1, 1)
    with pytest.raises(ToolError, match="compared only 0 pairs"):
        list(run_sweeps([classify], {COMPARE: campaign}, 1))


@pytest.mark.parametrize("is_faulty", [False, True])
def test_the_command(
    is_faulty: bool,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it prints, its exit code, and what it leaves in the results."""
    if is_faulty:
        request.getfixturevalue("faulty")
    kept: list[dict] = []
    monkeypatch.setattr(exhaustive, "plan", lambda: [Sweep(FMA, Operation.ADD, Mode.RNE)])
    monkeypatch.setattr(exhaustive, "CHUNK", 1)
    monkeypatch.setattr(exhaustive, "FOLDER", tmp_path)
    monkeypatch.setattr(exhaustive.results, "update", lambda section, each: kept.extend(each))
    monkeypatch.setattr("sys.argv", ["exhaustive", "--chunks", "2", "--jobs", "1"])
    status = exhaustive.main()
    output = capsys.readouterr().out.splitlines()
    assert output[0].split()[:4] == ["operation", "mode", "pairs", "mismatches"]
    (entry,) = kept
    assert entry["operation"] == "ADD"
    assert entry["of_pairs"] == 1 << 32
    if is_faulty:
        assert status == 1
        assert output[1].split()[-1] == "FAIL"
        assert re.fullmatch(r"  0001 [0-9a-f]{4}: got [0-9a-f]{4} NX, wanted .* NX", output[2])
        assert output[-1].startswith("0 of 1 sweeps pass")
        assert entry["verdict"] == "fail"
    else:
        assert status == 0
        assert output[1].split()[:4] == ["ADD", "RNE", "131,072", "0"]
        assert output[-1].startswith("1 of 1 sweeps pass, 131,072 pairs")
        assert (entry["verdict"], entry["pairs"]) == ("pass", 131072)
