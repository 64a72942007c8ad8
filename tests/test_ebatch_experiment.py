"""The experiment: its rows, gains, commands and figures."""

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from ebatch_runs import SMALL

from hdl.ebatch.parameters import Parameters
from sim.ebatch import experiment, figures
from sim.ebatch.policies import POLICIES
from sim.ebatch.runtime import (
    Request,
)


@pytest.fixture(scope="module")
def saturated() -> dict[str, experiment.Row]:
    plan = experiment.Plan(requests=1200, seeds=1)
    return {policy: experiment.measure(plan, policy, 8, None) for policy in POLICIES}


def test_ebatch_uses_the_lanes_and_few_loads(saturated: dict[str, experiment.Row]) -> None:
    """32 lanes, 4 layers, r = 8, short synthetic lengths, as the reference table has them."""
    for policy, row in saturated.items():
        if policy.startswith("E-BATCH"):
            assert row.utilisation >= 0.98
            assert row.throughput >= 0.98
    for steps in (8, 16, 64):
        ideal = 1000 / (steps * 32)
        assert saturated[f"E-BATCH K={steps}"].loads == pytest.approx(ideal, rel=0.03)
    assert saturated["E-BATCH backlog"].loads < 0.6


def test_the_others_are_where_the_reference_has_them(saturated: dict[str, experiment.Row]) -> None:
    for policy, throughput, loads in (
        ("static padded", 0.360, 1.24),
        ("cellular K=1", 0.124, 31.5),
        ("cellular K=5", 0.575, 6.79),
    ):
        assert saturated[policy].throughput == pytest.approx(throughput, rel=0.04)
        assert saturated[policy].loads == pytest.approx(loads, rel=0.04)
    # Bucketing is nearly as good, the more the deeper the queue.
    assert saturated["static bucketed"].throughput > 0.85
    assert all(row.p50 is None for row in saturated.values())


def test_below_r_steps_weights_are_what_is_waited_for() -> None:
    plan = experiment.Plan(requests=600, seeds=1)
    assert experiment.measure(plan, "E-BATCH K=8", 16, None).throughput == pytest.approx(0.5, 0.02)
    assert experiment.measure(plan, "cellular K=5", 4, None).throughput > 0.88


def test_latency_at_a_load() -> None:
    plan = experiment.Plan(requests=800, seeds=1, loads=(0.1, 0.6, 0.9), load_ratio=8)
    rows = experiment.curve(plan, "E-BATCH K=8", "8")
    assert [row.load for row in rows] == [None, 0.1, 0.6, 0.9]
    for row in rows[1:]:
        assert row.p50 is not None and 1.0 < row.p50 < 1.4
        assert row.p99 is not None and 2.8 < row.p99 < 4.2
        assert row.throughput == pytest.approx(row.load, rel=0.15)
    beyond = experiment.curve(plan, "static padded", "8")
    assert [row.load for row in beyond] == [None, 0.1]
    assert len(experiment.curve(plan, "cellular K=1", "16")) == 1


def test_a_row_by_hand() -> None:
    """One sequence of 32 steps in one of the lanes of an engine that never waits for weights."""
    engine = replace(SMALL, layers=2, max_steps=32)
    plan = experiment.Plan(engine=engine, trace=(Request(0, 32),))
    row = experiment.measure(plan, "E-BATCH K=16", 8, None)
    assert row.utilisation == 0.25
    assert row.padding == 0
    assert row.loads == 1000 * 2 / (2 * 32)
    assert row.dram_words == 2 * engine.load_words(0)
    assert row.sram_words == 32 * 2 * engine.weight_words(0)
    assert 0.2 < row.throughput < 0.25
    assert row.p50 == row.p99
    assert row.p50 is not None and 1.0 < row.p50 < 1.6


def test_gains_are_over_each_baseline_at_the_same_r() -> None:
    plan = experiment.Plan(requests=200, seeds=1)
    names = ("E-BATCH backlog", "cellular K=5")
    rows = [experiment.measure(plan, name, ratio, None) for ratio in (4, 16) for name in names]
    found = experiment.gains(rows)
    assert [(gain.baseline, gain.ratio) for gain in found] == [
        ("cellular K=5", 4),
        ("cellular K=5", 16),
    ]
    four, sixteen = (gain.throughput for gain in found)
    assert four < 1.3 and sixteen > 2.5
    assert found[0].loads == pytest.approx(rows[1].loads / rows[0].loads)


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(experiment, "configuration_folder", lambda *_: tmp_path)
    monkeypatch.setattr(experiment, "RATIOS", (8,))
    arguments = ["experiment", "--requests", "100", "--seeds", "1", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert experiment.main() == 0
    out = capsys.readouterr().out
    assert "lengths synthetic: lognormal" in out
    assert "published, other hardware" in out
    assert [out.index(policy) for policy in POLICIES] == sorted(out.index(p) for p in POLICIES)
    result = json.loads((tmp_path / "short.json").read_text())
    assert {row["policy"] for row in result["rows"]} == set(POLICIES)
    assert [each["throughput"] for each in result["published"]] == [1.8, 2.1]
    for name in ("short.svg", "lanes.svg"):
        assert (tmp_path / name).read_text().startswith("<svg xmlns=")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--trace", "nowhere.csv"), 2, "assay: cannot read nowhere.csv: No such file"),
        (("--trace", "bad.csv"), 2, "assay: bad.csv, line 1: length is '0'; allowed are whole"),
        (("--requests", "0"), None, "assay: REQUESTS is '0'; allowed are 1 and more"),
    ],
)
def test_what_is_wrong_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: tuple[str, ...],
    code: int | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("0,0")
    monkeypatch.setattr(sys, "argv", ["experiment", *options])
    if code is None:
        with pytest.raises(SystemExit, match=message):
            experiment.main()
    else:
        assert experiment.main() == code
        assert message in capsys.readouterr().err


# Figures.


def test_spans_of_a_timeline() -> None:
    steps = [(0, None), (0, 1), (0, 1), (2, 1)]
    assert figures.spans(2, [(10.0, 18.0, steps), (20.0, 21.0, [(2, None)])]) == (
        figures.Span(0, 10.0, 16.0, 0),
        figures.Span(0, 16.0, 18.0, 2),
        figures.Span(1, 10.0, 12.0, None),
        figures.Span(1, 12.0, 18.0, 1),
        figures.Span(0, 20.0, 21.0, 2),
        figures.Span(1, 20.0, 21.0, None),
    )


def test_a_timeline_shows_every_step_once() -> None:
    for policy in experiment.TIMELINES:
        blocks, records = experiment.timeline(policy)
        seen = [number for block in blocks for step in block.steps for number in step]
        for number, record in enumerate(records):
            assert seen.count(number) == record.request.steps
        assert all(block.start < block.end for block in blocks)
        assert all(before.end <= after.start for before, after in pairwise(blocks))


def test_figures_are_the_same_twice_and_say_what_they_show() -> None:
    curves = [
        figures.Curve("E-BATCH K=8", ((0.1, 1.0, 3.0), (0.9, 1.2, 3.5))),
        figures.Curve("static padded", ((0.1, 2.7, 5.8),)),
    ]
    drawn = figures.latency("load", curves)
    assert drawn == figures.latency("load", curves)
    for text in ("E-BATCH K=8", "static padded", "offered load", "99th percentile"):
        assert text in drawn
    assert 'id="load-' in drawn and "currentColor" in drawn
    lanes = experiment.lane_figure()
    assert lanes == experiment.lane_figure()
    for policy in experiment.TIMELINES:
        assert policy in lanes
    assert len(lanes) < 300_000


def test_energy_of_a_sequence_by_hand() -> None:
    """100 words of 32 bits, each for 4 products in 2 lanes, of which 10 came from outside."""
    energy = experiment.Energy(sram_bit=1.0, dram_bit=10.0, mac=0.5, source="")
    engine = Parameters(lanes=2, width=4)
    by_hand = 100 * (32 * 1.0 + 8 * 0.5) + 10 * 32 * (10.0 + 1.0)
    assert energy.of_sequence(engine, read=100, loaded=10) == by_hand / 1000
