"""Public designs: mapping by the two scripts, the replay, the table and the page."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

import hdl.ent
from hdl.datapath import Datapath, Reference
from hdl.export import TOP, export
from sim import results
from sim.run import SimulationResult, simulate
from sim.tools import run_yosys
from synth.cost import LIBRARIES
from synth.libraries import choose, load_library
from synth.library import Library
from synth.netlist import cell_area, read_module
from synth.public import Beside, references, set_beside
from synth.public_table import show_public
from synth.reference import ORDERINGS, SCRIPTS, Mapped, map_reference
from synth.replay import ReplayError
from synth.report import render

NAME = "pe-int4-acc12-nr4sd-edge-edge"
CHOICE = choose("sky130hd", "", "")
PUBLIC = (
    Reference("one & only", NAME, "sky130hd", (1000.0, 3.0), (1200.0, 2.0), "from nowhere"),
    Reference("half", NAME, "sky130hd", smallest=(500.0, 6.0)),
    Reference("elsewhere", NAME, "sg13g2", smallest=(2000.0, 3.0)),
)


class Multiplier(wiring.Component):
    """A product in a register."""

    def __init__(self) -> None:
        super().__init__({"a": In(signed(4)), "b": In(signed(4)), "product": Out(signed(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.product.eq(self.a * self.b)
        return m


class Store(wiring.Component):
    """A memory of 16 words."""

    def __init__(self) -> None:
        super().__init__({"address": In(4), "data": In(8), "read": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = memory.Memory(shape=8, depth=16, init=[])
        write, read = words.write_port(), words.read_port()
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.data), write.en.eq(1)]
        m.d.comb += [read.addr.eq(self.address), self.read.eq(read.data)]
        return m


@pytest.fixture(scope="module")
def library() -> Library:
    return load_library("sky130hd", LIBRARIES)[0]


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Mapped]:
    return map_reference(export(Multiplier()), folder=tmp_path_factory.mktemp("references"))


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """EN-T with public designs, and a folder of its own for what is mapped."""
    monkeypatch.setattr(hdl.ent, "DATAPATH", replace(hdl.ent.DATAPATH, references=PUBLIC))
    monkeypatch.setattr("synth.public.configuration_folder", lambda *_: tmp_path)
    yield


def test_each_script_keeps_its_best_ordering(mapped: dict[str, Mapped]) -> None:
    assert list(mapped) == list(SCRIPTS) == ["smallest", "fastest"]
    for each in mapped.values():
        assert [tried.ordering for tried in each.tries] == list(range(ORDERINGS))
    smallest, fastest = mapped["smallest"], mapped["fastest"]
    assert smallest.area_um2 == min(each.area_um2 for each in smallest.tries)
    assert fastest.delay_ns == min(each.delay_ns for each in fastest.tries)
    assert (smallest.area_um2, smallest.delay_ns) in [
        (each.area_um2, each.delay_ns) for each in smallest.tries
    ]
    assert smallest.area_um2 < fastest.area_um2
    assert smallest.delay_ns > fastest.delay_ns > 0
    assert smallest.spread >= 1 and fastest.spread >= 1


def test_the_file_is_the_circuit_of_the_figures(
    mapped: dict[str, Mapped], library: Library, tmp_path: Path
) -> None:
    """Its cells have that area, and ABC states that delay of it; registers and all are mapped."""
    for each in mapped.values():
        file = tmp_path / f"{each.script}.json"
        run_yosys([f"read_rtlil {each.file}", f"write_json {file}"], tmp_path / "yosys.log")
        module = read_module(file, TOP)
        assert sum(cell_area(module, library).values()) == pytest.approx(each.area_um2, abs=0.01)
        types = [cell["type"] for cell in module["cells"].values()]
        assert set(types) <= library.cells.keys()
        assert types.count(library.flip_flop.name) == 8


def test_a_design_with_a_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="memories"):
        map_reference(export(Store()), folder=tmp_path)


@pytest.mark.parametrize(
    "figures", [{}, {"smallest": (0.0, 3.0)}, {"smallest": (9.0, 3.0), "fastest": (9.0, -1.0)}]
)
def test_a_public_design_needs_figures(figures: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="public design some: smallest and fastest are"):
        Reference("some", NAME, "sky130hd", **figures)


def test_a_public_design_names_a_configuration() -> None:
    unknown = Reference("some", "no-such-pe", "sky130hd", smallest=(9.0, 3.0))
    with pytest.raises(ValueError, match="no configuration is named 'no-such-pe'"):
        replace(hdl.ent.DATAPATH, references=(unknown,))
    assert Datapath.__dataclass_fields__["references"].default == ()


def test_public_designs_of_the_chosen_process(public: None) -> None:
    names = [each.name for each in references("ent", NAME, CHOICE)]
    assert names == ["one & only", "half"]
    assert [each.name for each in references("ent", NAME, choose("sg13g2", "", ""))] == [
        "elsewhere"
    ]
    assert references("ent", "pe-int8-acc32-booth-pe-pe", CHOICE) == []


def test_a_file_is_known_by_what_it_calls_itself(public: None, tmp_path: Path) -> None:
    """As a user's full library would be, whatever the file is called."""
    table = load_library("sky130hd", LIBRARIES)[1].read_text()
    file = tmp_path / "mine.lib"
    file.write_text(table)
    assert references("ent", NAME, choose("sky130hd", str(file), "")) == []
    full = "sky130_fd_sc_hd__tt_025C_1v80"
    file = tmp_path / "mine-too.lib"
    file.write_text(table.replace(f"{full}_table", full, 1))
    assert len(references("ent", NAME, choose("sky130hd", str(file), ""))) == 2


def test_circuits_beside_public_designs(public: None, capsys: pytest.CaptureFixture[str]) -> None:
    found, failed = show_public([("ent", NAME)], CHOICE, 1)
    assert failed == 0
    assert [(each.script, each.name) for each in found] == [
        ("smallest", "one & only"),
        ("smallest", "half"),
        ("fastest", "one & only"),
    ]
    simulated = simulate(hdl.ent.DATAPATH, NAME)
    for each in found:
        assert each.netlist_checks == 5 * (simulated.simulated_cycles - 1)
        assert each.circuit == simulated.circuit
        assert each.area_ratio == pytest.approx(each.area_um2 / each.public_area_um2, abs=1e-4)
        assert each.delay_ratio == pytest.approx(each.delay_ns / each.public_delay_ns, abs=1e-4)
    lines = capsys.readouterr().out.splitlines()
    header = next(line for line in lines if line.startswith("configuration"))
    rows = [line for line in lines if line.startswith(NAME)]
    assert len(rows) == 3
    assert all(
        row.index(each.name) == header.index("public design")
        for row, each in zip(rows, found, strict=True)
    )
    assert f"{found[0].area_ratio - 1:+.1%}" in rows[0]
    assert "one & only: from nowhere" in lines
    assert any(CHOICE.description in line for line in lines)


def test_a_wrong_netlist_has_no_figures(public: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth.reference import map_design

    def damaged(*arguments: Any) -> dict[str, Mapped]:
        found = map_design(*arguments)
        file = found["fastest"].file
        text = file.read_text()
        wrong = text.replace("sky130_fd_sc_hd__nand2_1", "sky130_fd_sc_hd__nor2_1", 1)
        assert wrong != text
        copy = Path(str(file) + ".damaged")
        copy.write_text(wrong)
        return found | {"fastest": replace(found["fastest"], file=copy)}

    monkeypatch.setattr("synth.public.map_design", damaged)
    with pytest.raises(ReplayError, match=r"^cycle \d+: output \w+ differs$"):
        set_beside("ent", NAME, CHOICE)


def entry(**changes: Any) -> dict[str, Any]:
    numbers = {"area_um2": 9000.0, "delay_ns": 25.0, "spread": 1.013, "netlist_checks": 4321}
    there = {"public_area_um2": 10000.0, "public_delay_ns": 20.0}
    ratios = {"area_ratio": 0.9, "delay_ratio": 1.25}
    names = {"name": "one & <only>", "source": "from nowhere", "public_library": "sky130hd"}
    place = {"datapath": "demo", "config": "fma", "library": "sky130hd", "script": "smallest"}
    return asdict(Beside(**place, **numbers, circuit="0", **names, **there, **ratios)) | changes


def page(*beside: dict[str, Any]) -> str:
    known = dict.fromkeys(SimulationResult.__dataclass_fields__, 0)
    run = known | {"datapath": "demo", "config": "fma", "verdict": "pass", "unit": "FLOP"}
    run |= {"circuit": "0", "figures": {}}
    found = {"schema": 1, "tools": {}, "sim": [run], "references": list(beside)}
    return render(found, datetime(2025, 1, 2, tzinfo=UTC), {})


def test_the_page_shows_public_designs() -> None:
    text = page(entry(), entry(script="fastest", area_ratio=1.1))
    assert "mapped by this project&#x27;s authors with the same scripts" in text
    assert text.count("one &amp; &lt;only&gt;</td>") == 2
    for told in ("9,000", "25.00", "10,000", "20.00", "−10.0 %", "+25.0 %", "4,321", "+1.3 %"):
        assert f">{told}</td>" in text
    assert "from nowhere" in text
    assert "<h2>Public designs" not in page()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"netlist_checks": 0}, "its netlist was not replayed"),
        ({"circuit": "1"}, "its circuit has changed since"),
    ],
)
def test_the_page_holds_back_what_is_not_verified(changes: dict[str, Any], reason: str) -> None:
    text = page(entry(**changes))
    assert "<h2>Public designs" not in text
    assert f"demo fma (sky130hd, smallest) beside one &amp; &lt;only&gt;: {reason}" in text


def test_results_of_before_get_the_section(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text('{"schema": 1, "tools": {}, "sim": []}')
    results.update("references", [entry()], file)
    results.update("references", [entry(area_um2=1.0), entry(name="other")], file)
    found = results.read(file)["references"]
    assert [(each["name"], each["area_um2"]) for each in found] == [
        ("one & <only>", 1.0),
        ("other", 9000.0),
    ]
