"""What the report says of arrays at scale and of all circuits, and what it withholds."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from test_report import ATTACK, Reader, comparison, cost, page, section, simulation

from synth.__main__ import _show_comparisons
from synth.compare import Result
from synth.evidence import weigh
from synth.pareto_figure import front
from synth.report import _current

SCALES = (("256 GOPS", 256, 8.7, 13.0), ("4 TOPS", 4096, 11.0, 15.5))
ORGANISATIONS = {"systolic": (1.25, 1.5), "broadcast <x>": (0.8, 1.1)}


def side(name: str, period: float, **changes: Any) -> dict[str, Any]:
    entry = {"config": f"{name}-64x64", "small": f"{name}-4x4", "library": "sky130hd"}
    entry |= {"target": "clock", "multipliers": 256, "area_um2": 2e6, "memory_um2": 5e5}
    entry |= {"small_um2": 16000.0, "glue_um2": 4000.0, "mapped_alone": {"drain_1": 3900.0}}
    entry |= {"critical_path_ps": period - 100}
    entry |= {"period_ps": period, "work_per_second": 256e12 / period, "unit": "MAC"}
    entry |= {"energy_pj_per_work": {"uniform": 4.0}, "netlist_checks": 7, "circuit": "0"}
    return entry | changes


def gain(organisation: str, scale: tuple, **changes: Any) -> dict[str, Any]:
    name, multipliers, area, energy = scale
    ratios = ORGANISATIONS[organisation]
    entry = {"datapath": "demo", "scale": name, "organisation": organisation, "idea": "both"}
    entry |= {"library": "sky130hd", "target": "clock", "multipliers": multipliers}
    entry |= {"baseline": "base-4x4", "candidate": "idea-4x4", "slower": ratios[0] < 1}
    entry |= {"baseline_cost": side("base", 4500.0), "candidate_cost": side("idea", 4600.0)}
    entry |= {"area_efficiency": ratios[0], "energy_efficiency": {"uniform": ratios[1]}}
    return entry | {"published_area": area, "published_energy": energy} | changes


@pytest.fixture
def results() -> dict[str, Any]:
    roles = {"base-4x4": "baseline", "idea-4x4": "candidate", "other-4x4": "other"}
    points = [(4000.0, 4000.0), (3000.0, 7000.0), (3500.0, 4500.0), (5000.0, 4200.0)]
    block = {"block": "pe", "unit": "MAC", "netlist_checks": 7, "circuit": "0", "points": points}
    return {
        "sim": [simulation(name) for name in roles],
        "synth": [cost(name, "clock") for name in roles],
        "scales": [gain(kind, scale) for kind in ORGANISATIONS for scale in SCALES],
        "tries": [
            {"datapath": "demo", "config": name, "library": "sky130hd", "key": name, "role": role}
            | block
            for name, role in roles.items()
        ],
    }


def test_gains_averages_and_what_is_below_the_published(results: dict[str, Any]) -> None:
    text = section(page(results), "At scale")
    tables = re.findall(r"<table>.*?</table>", text, re.DOTALL)
    rows = Reader(tables[0]).rows[1:]
    assert rows == [
        ["both", "systolic", "+25.0 %", "+50.0 %", "+25.0 %", "+50.0 %"],
        [
            *("both", "broadcast <x>"),
            *("−20.0 %slower clock", "+10.0 %", "−20.0 %slower clock", "+10.0 %"),
        ],
        [
            *("both", "average of 2", "+2.5 %below published", "+30.0 %"),
            *("+2.5 %below published", "+30.0 %"),
        ],
        ["published", "average of the paper's", "+8.7 %", "+13.0 %", "+11.0 %", "+15.5 %"],
    ]
    told = Reader(text).text
    assert "both, 256 GOPS: area efficiency +2.5 %, published +8.7 %; both, 4 TOPS:" in told
    assert "energy efficiency" not in told
    arrays = Reader(tables[1]).rows[1:]
    assert len(arrays) == 4  # two sides at two scales; organisations have the same names here
    assert arrays[0][:3] == ["256 GOPS", "base-64x64", "base-4x4"]
    # 4 pJ for two operations are 500 GOPS/W.
    for shown in ("0.2 %", "500,000", "4.50", "4", "500", "drain_1"):
        assert shown in arrays[0]
    for row in (*rows, *arrays):
        assert len(row) in (len(rows[0]), len(arrays[0]))


def test_nothing_below_the_published_is_said_too(results: dict[str, Any]) -> None:
    results["scales"] = [each for each in results["scales"] if each["organisation"] == "systolic"]
    text = section(page(results), "At scale")
    assert "None is below the published ones." in text
    assert "below published" not in text
    for each in results["scales"]:
        each |= {"published_area": None, "published_energy": None}
    assert "published ones" not in section(page(results), "At scale")


def test_slack_is_told(results: dict[str, Any]) -> None:
    assert "baseline has slack" not in page(results)
    results["scales"][0]["baseline_cost"]["critical_path_ps"] = 4000.0
    assert section(page(results), "At scale").count("baseline has slack") == 1


@pytest.mark.parametrize(("circuit", "shown"), [("0", 4), ("1", 3)])
def test_a_gain_in_energy_over_another_circuit_is_withheld(
    results: dict[str, Any], circuit: str, shown: int
) -> None:
    """The baseline that was best in energy must still be the one that it was."""
    rival = {"config": "other-4x4", "circuit": circuit, "area_um2": 16000.0}
    results["scales"][0]["energy_baselines"] = {"uniform": rival}
    assert len(weigh(results).scales) == shown


def test_energy_may_be_unknown(results: dict[str, Any]) -> None:
    for each in results["scales"]:
        each["energy_efficiency"] = {}
        for name in ("baseline_cost", "candidate_cost"):
            each[name]["energy_pj_per_work"] = {}
    text = section(page(results), "At scale")
    assert "pJ/work" not in text
    assert "+25.0 %" in text


@pytest.mark.parametrize(
    ("section_name", "field", "value"),
    [
        ("synth", "circuit", "1"),
        ("synth", "netlist_checks", 0),
        ("synth", "area_um2", 16001.0),
        ("sim", "verdict", "fail"),
    ],
)
@pytest.mark.parametrize("index", [0, 1])
def test_scales_of_other_circuits_are_withheld(
    results: dict[str, Any], section_name: str, field: str, value: Any, index: int
) -> None:
    assert len(weigh(results).scales) == 4
    results[section_name][index][field] = value
    found = weigh(results)
    assert found.scales == []
    reason = "older than the costs" if field == "area_um2" else "a side has no cost to show"
    expected = f"256 GOPS, systolic, demo both (sky130hd, target clock): {reason}"
    assert any(line.startswith(expected) for line in found.withheld)


def test_scales_of_a_circuit_before_are_withheld(results: dict[str, Any]) -> None:
    results["scales"][0]["candidate_cost"]["circuit"] = "1"
    found = weigh(results)
    assert len(found.scales) == 3
    assert len([line for line in found.withheld if "older than the costs" in line]) == 1


def test_all_circuits_are_plotted_or_withheld(results: dict[str, Any]) -> None:
    text = section(page(results), "Area and delay")
    assert text.count("<svg") == 1
    for role in ("other", "baseline", "candidate"):
        assert f"1 {role} block, 4 circuits" in text
        assert f"{role}: front" in text
    reader = Reader(page(results))
    assert len(reader.ids) == len(set(reader.ids))
    results["tries"][0]["circuit"] = "1"
    text = page(results)
    assert "all circuits of demo base-4x4 (sky130hd): its circuit has changed since" in text
    assert "baseline block" not in text


def test_front() -> None:
    points = [(3.0, 5.0), (1.0, 9.0), (2.0, 9.5), (3.0, 6.0), (4.0, 5.0), (5.0, 1.0)]
    assert front(points) == [(1.0, 9.0), (3.0, 5.0), (5.0, 1.0)]


def test_text_is_escaped(results: dict[str, Any]) -> None:
    for each in (*results["synth"], *results["scales"], *results["tries"]):
        each["library"] = ATTACK
    for each in results["scales"]:
        each |= {"idea": ATTACK, "organisation": ATTACK, "scale": ATTACK}
        each["baseline_cost"]["config"] = ATTACK
    text = page(results)
    assert "<script" not in text
    assert ATTACK in Reader(text).text


@pytest.mark.parametrize("field", ["scale", "organisation", "idea", "candidate"])
def test_what_is_no_longer_scaled_is_dropped(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would count in an average."""
    entry = gain("systolic", SCALES[0])
    sides = [SimpleNamespace(name="256 GOPS", organisation="systolic", small=name)
             for name in ("base-4x4", "idea-4x4")]  # fmt: skip
    datapath = SimpleNamespace(comparisons=[SimpleNamespace(idea="both")], scales=sides)
    datapath.by_name = dict.fromkeys(("base-4x4", "idea-4x4", "gone"))
    monkeypatch.setattr("synth.report.find_datapaths", lambda: {"demo": datapath})
    gone = {**entry, field: "gone"}
    assert _current({"scales": [gone, entry, gone]}) == {"scales": [entry]}


def test_a_slower_clock_is_told(results: dict[str, Any], capsys: Any) -> None:
    """Where each side has its own; for a clock target both clocks are the target's."""
    names = ("area", "critical path", "area efficiency")
    path = 3950.0 * 1.0125
    for target in ("clock", "efficiency"):
        compared = [comparison(target, name) for name in names]
        results["comparisons"] = compared
        results["synth"] = [
            cost("base-4x4", target, target_ps=None),
            cost("idea-4x4", target, target_ps=None, area_um2=15000.0, critical_path_ps=path),
        ]
        slow = target == "efficiency"
        text = section(page(results), "Comparisons")
        assert ("slower clock" in text) == slow
        assert ("most work/s/mm²" in text) == slow
        _show_comparisons([Result(**each) for each in compared])
        output = capsys.readouterr().out
        assert ("slower clock" in output) == ("3.95, 4.00" in output) == slow
    results["comparisons"][1]["candidate_value"] = 3900.0
    results["comparisons"][1]["ratio"] = 3900 / 3950
    results["synth"][1]["critical_path_ps"] = 3900.0
    assert "slower clock" not in section(page(results), "Comparisons")
    _show_comparisons([Result(**each) for each in results["comparisons"]])
    assert "slower clock" not in capsys.readouterr().out
