"""Replaying a netlist: the mapped circuit passes, and damaged ones are caught where they must be.

What a damaged netlist does is predicted by a fault simulator of its own, below, which evaluates
the gates in Python for every recorded cycle. So a fault that is caught is caught in the cycle and
at the output where it first shows, and a fault that never shows is known to be one.
"""

import fcntl
import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hdl.datapath import find_datapath
from hdl.export import export
from sim.ports import Port, top_ports
from sim.run import simulate, stimulus_file
from sim.tools import run_yosys
from synth.cost import Cost, costs
from synth.libraries import choose
from synth.replay import ReplayError, replay
from synth.targets import targets

NAME = "pe-int4-acc12-nr4sd-edge-edge"
LIBRARY = "sky130hd"
SEED = 20

Bits = NDArray[np.bool_]
_INSTANCE = re.compile(r"^  (?P<type>\w+) (?P<name>\S+)  ?\(\n(?P<pins>.*?)\n  \);\n", re.M | re.S)
_PIN = re.compile(r"\.(\w+)\((.*)\)")
_MODEL = re.compile(r"^module (\w+)\(([^)]*)\);\n(.*?)^endmodule\n", re.M | re.S)


@dataclass(frozen=True)
class Recording:
    """Ports of a simulation: ``values[port]`` has the level of each bit in each cycle."""

    header: bytes
    samples: bytes
    values: dict[str, Bits]

    @property
    def cycles(self) -> int:
        return len(self.values["rst"])

    @cached_property
    def first_compared(self) -> int:
        """The cycle behind the first clock edge under reset."""
        return int(np.argmax(self.values["rst"][:, 0])) + 1


TRAILER = b"end\n"


def read_recording(file: Path, ports: tuple[Port, ...]) -> Recording:
    header, _, samples = file.read_bytes().partition(b"\n")
    assert samples.endswith(TRAILER)
    samples = samples.removesuffix(TRAILER)
    recorded = [port for port in ports if port.name != "clk"]
    assert header.split() == [f"{port.name}:{port.width}".encode() for port in recorded]
    sizes = [1 if port.width <= 8 else 2 if port.width <= 16 else 4 for port in recorded]
    table = np.frombuffer(samples, dtype=np.uint8).reshape(-1, sum(sizes))
    bits = np.unpackbits(table, axis=1, bitorder="little").astype(bool)
    values, offset = {}, 0
    for port, size in zip(recorded, sizes, strict=True):
        values[port.name] = bits[:, offset : offset + port.width]
        offset += 8 * size
    return Recording(header + b"\n", samples, values)


@dataclass(frozen=True)
class Gate:
    """An instance in the netlist: its cell type, and pins in the order of the text."""

    type: str
    text: str
    pins: dict[str, str]


def _name_in_json(name: str) -> str:
    """Yosys tells names that begin with a dollar from its own by a backslash, also in JSON."""
    return name if name.startswith("\\$") else name.removeprefix("\\")


class Circuit:
    """A mapped netlist as text, and what it does in each recorded cycle.

    Every register of the PE drives an output, so the recorded outputs are its state as long as
    none has been wrong, and what the registers take next is combinational.
    """

    def __init__(self, verilog: Path, ports: tuple[Port, ...], recording: Recording) -> None:
        self.verilog = verilog
        self.text = verilog.read_text()
        self.ports = ports
        self.recording = recording
        self.gates = {
            _name_in_json(match["name"]): Gate(
                match["type"], match[0], dict(_PIN.findall(match["pins"]))
            )
            for match in _INSTANCE.finditer(self.text)
        }
        self.models = {match[1]: match for match in _MODEL.finditer(self.text)}

    def is_register(self, gate: Gate) -> bool:
        return "posedge" in self.models[gate.type][3]

    def inputs(self, gate: Gate) -> list[str]:
        return re.findall(r"input (\w+)", self.models[gate.type][2])

    def outputs(self, gate: Gate) -> list[str]:
        return re.findall(r"output (\w+)", self.models[gate.type][2])

    @property
    def registers(self) -> list[str]:
        return [name for name, gate in self.gates.items() if self.is_register(gate)]

    @property
    def logic(self) -> list[str]:
        return [name for name, gate in self.gates.items() if not self.is_register(gate)]

    def next_outputs(self, nets: dict[str, Any], edit: "Fault | None" = None) -> dict[str, Bits]:
        """What each output bit, by name, has one cycle after each recorded cycle.

        ``nets``: the module in Yosys' JSON, for which net each pin is on.
        """
        known: dict[int | str, Bits] = {
            "0": np.zeros(self.recording.cycles, dtype=bool),
            "1": np.ones(self.recording.cycles, dtype=bool),
        }
        for port in self.ports:
            if port.name == "clk":
                continue
            levels = self.recording.values[port.name].copy()
            if not port.is_input:
                levels[0] = False  # gates have no initial values; Verilator's registers start so
            known |= dict(zip(nets["ports"][port.name]["bits"], levels.T, strict=True))
        drivers = {
            net: (name, pin)
            for name in self.logic
            for pin in self.outputs(self.gates[name])
            for net in nets["cells"][name]["connections"].get(pin, [])
        }

        def level(net: int | str) -> Bits:
            if net not in known:
                name, pin = drivers[net]
                gate = self.gates[name]
                values = {each: on(name, each) for each in self.inputs(gate)}
                known[net] = self.function(gate.type, pin, values)
                if edit is not None and edit.gate == name and edit.inverts == pin:
                    known[net] = ~known[net]
            return known[net]

        def on(name: str, pin: str) -> Bits:
            if edit is not None and edit.gate == name:
                if edit.stuck is not None and pin == edit.stuck[0]:
                    return known[str(edit.stuck[1])]
                pin = edit.swaps.get(pin, pin)
            return level(nets["cells"][name]["connections"][pin][0])

        state = {
            net: f"{port.name}[{index}]"
            for port in self.ports
            if not port.is_input
            for index, net in enumerate(nets["ports"][port.name]["bits"])
        }
        return {
            state[nets["cells"][name]["connections"]["Q"][0]]: on(name, "D")
            for name in self.registers
        }

    def function(self, cell: str, pin: str, values: dict[str, Bits]) -> Bits:
        """An output of a cell, from its model's ``assign`` in the netlist."""
        found = re.search(rf"^  assign {pin} = (.*);$", self.models[cell][3], re.M)
        assert found is not None
        assert re.fullmatch(r"[\w\s~&|^()]+", found[1]), "an operator Python writes otherwise"
        return eval(found[1], {"__builtins__": {}}, dict(values))

    def first_difference(self, after: dict[str, Bits]) -> tuple[int, str] | None:
        """Cycle and port where outputs that follow ``after`` first differ from the recording."""
        found = []
        order = [port.name for port in self.ports if not port.is_input]
        for bit, levels in after.items():
            port, index = bit[:-1].split("[")
            recorded = self.recording.values[port][1:, int(index)]
            wrong = np.flatnonzero(levels[:-1] != recorded) + 1
            wrong = wrong[wrong >= self.recording.first_compared]
            if len(wrong):
                found.append((int(wrong[0]), order.index(port)))
        if not found:
            return None
        cycle, port_index = min(found)
        return cycle, order[port_index]


@dataclass(frozen=True)
class Fault:
    """One piece of damage to one instance."""

    gate: str
    inverts: str = ""
    stuck: tuple[str, int] | None = None
    swapped: tuple[str, str] | None = None

    @property
    def swaps(self) -> dict[str, str]:
        return dict((self.swapped, self.swapped[::-1])) if self.swapped else {}

    def damage(self, circuit: Circuit) -> str:
        """The netlist's text with the fault in it."""
        gate = circuit.gates[self.gate]
        text, extra = gate.text, ""
        if self.inverts:
            model = circuit.models[gate.type]
            wrong = re.sub(
                rf"assign {self.inverts} = (.*);", rf"assign {self.inverts} = ~(\1);", model[0]
            )
            extra = wrong.replace(f"module {gate.type}(", "module damaged(")
            text = text.replace(f"  {gate.type} ", "  damaged ", 1)
        if self.stuck:
            pin, value = self.stuck
            text = text.replace(f".{pin}({gate.pins[pin]})", f".{pin}(1'b{value})")
        for pin, other in self.swaps.items():
            text = text.replace(f"    .{pin}({gate.pins[pin]})", f"    .{pin}({gate.pins[other]})")
        assert text != gate.text
        assert circuit.text.count(gate.text) == 1
        return circuit.text.replace(gate.text, text) + extra


@dataclass(frozen=True)
class Mapped:
    """The circuit under test with everything a replay of it needs."""

    costs: list[Cost]
    circuit: Circuit
    nets: dict[str, Any]
    stimulus: Path

    def replay(self, text: str, folder: Path, stimulus: Path | None = None) -> int:
        verilog = folder / "netlist.v"
        verilog.write_text(text)
        return replay(verilog, self.circuit.ports, [], stimulus or self.stimulus, folder)

    def prediction(self, fault: Fault) -> tuple[int, str] | None:
        return self.circuit.first_difference(self.circuit.next_outputs(self.nets, fault))


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Mapped:
    datapath = find_datapath("ent")
    folder = tmp_path_factory.mktemp("synth")
    shared = tmp_path_factory.getbasetemp().parent  # of all workers: one maps, others wait
    with pytest.MonkeyPatch.context() as patch, (shared / "mapped.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may be mapping the same configuration in the build folder.
        patch.setattr("synth.cost.configuration_folder", lambda *_: folder)
        found = costs(datapath, NAME, choose(LIBRARY, "", ""), targets(LIBRARY))
        stimulus = stimulus_file(simulate(datapath, NAME))
        recorded = folder / "ports.bin"
        shutil.copy(stimulus, recorded)
    ports = top_ports(export(datapath.configuration(NAME).build()))
    (verilog,) = folder.rglob(f"{LIBRARY}-area/netlist.v")
    circuit = Circuit(verilog, ports, read_recording(recorded, ports))
    file = folder / "nets.json"
    commands = [f"read_verilog {verilog}", "hierarchy -top top", "proc", f"write_json {file}"]
    run_yosys(commands, folder / "nets.log")
    return Mapped(found, circuit, json.loads(file.read_text())["modules"]["top"], recorded)


def test_the_mapped_netlist_passes(mapped: Mapped) -> None:
    recording = mapped.circuit.recording
    outputs = [port for port in mapped.circuit.ports if not port.is_input]
    assert recording.first_compared == 1
    expected = (recording.cycles - recording.first_compared) * len(outputs)
    assert [cost.target for cost in mapped.costs] == ["area", "clock"]
    for cost in mapped.costs:
        assert cost.config == NAME
        assert cost.netlist_checks == expected


def test_the_prediction_knows_the_whole_circuit(mapped: Mapped) -> None:
    """Undamaged it differs nowhere; a register for every output bit, and none besides."""
    circuit = mapped.circuit
    after = circuit.next_outputs(mapped.nets)
    # Here ``done`` and ``last_next`` are one register, which goes by one of the names.
    bits = {
        net: f"{port.name}[{index}]"
        for port in circuit.ports
        if not port.is_input
        for index, net in enumerate(mapped.nets["ports"][port.name]["bits"])
    }
    assert sorted(after) == sorted(bits.values())
    assert len(circuit.registers) == len(bits)
    assert len(bits) == sum(port.width for port in circuit.ports if not port.is_input) - 1
    assert len(circuit.gates) == len(mapped.nets["cells"]) == mapped.costs[0].cells
    assert circuit.first_difference(after) is None


Choose = Callable[[Circuit, random.Random], Fault]


def inverted_gate(circuit: Circuit, rng: random.Random) -> Fault:
    """XOR becomes XNOR, NAND becomes AND: one output of some gate is inverted."""
    name = rng.choice(circuit.logic)
    return Fault(name, inverts=rng.choice(circuit.outputs(circuit.gates[name])))


def swapped_inputs(circuit: Circuit, rng: random.Random) -> Fault:
    """Two inputs of a gate with three or more: often what it does depends on their order."""
    wide = [name for name in circuit.logic if len(circuit.inputs(circuit.gates[name])) > 2]
    name = rng.choice(wide)
    first, second = rng.sample(circuit.inputs(circuit.gates[name]), 2)
    return Fault(name, swapped=(first, second))


def stuck_input(circuit: Circuit, rng: random.Random) -> Fault:
    name = rng.choice(circuit.logic)
    return Fault(name, stuck=(rng.choice(circuit.inputs(circuit.gates[name])), rng.randint(0, 1)))


def stuck_register(circuit: Circuit, rng: random.Random) -> Fault:
    return Fault(rng.choice(circuit.registers), stuck=("D", rng.randint(0, 1)))


def visible(mapped: Mapped, choose_fault: Choose, number: int) -> tuple[Fault, tuple[int, str]]:
    """A fault that shows in the recorded run, and where; the ones that do not are passed over."""
    rng = random.Random(f"{SEED} {choose_fault.__name__} {number}")
    for _ in range(100):
        fault = choose_fault(mapped.circuit, rng)
        where = mapped.prediction(fault)
        if where is not None:
            return fault, where
    raise AssertionError("no fault of this kind is visible")


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("kind", [inverted_gate, swapped_inputs, stuck_input, stuck_register])
def test_damage_is_caught_where_it_shows(
    mapped: Mapped, kind: Choose, number: int, tmp_path: Path
) -> None:
    fault, (cycle, port) = visible(mapped, kind, number)
    with pytest.raises(ReplayError, match=rf"^cycle {cycle}: output {port} differs$"):
        mapped.replay(fault.damage(mapped.circuit), tmp_path)


def test_the_rarest_fault_is_caught(mapped: Mapped, tmp_path: Path) -> None:
    """Of all stuck inputs of gates, the one that stays hidden longest."""
    circuit = mapped.circuit
    faults = [
        Fault(name, stuck=(pin, value))
        for name in circuit.logic
        for pin in circuit.inputs(circuit.gates[name])
        for value in (0, 1)
    ]
    shown = [(where, fault) for fault in faults if (where := mapped.prediction(fault))]
    (cycle, port), fault = max(shown, key=lambda each: each[0])
    assert cycle > 100
    with pytest.raises(ReplayError, match=rf"^cycle {cycle}: output {port} differs$"):
        mapped.replay(fault.damage(circuit), tmp_path)


def test_swapped_output_bits_are_caught(mapped: Mapped, tmp_path: Path) -> None:
    recording = mapped.circuit.recording
    low, high = random.Random(SEED).sample(range(12), 2)
    bits = recording.values["accumulator"]
    different = np.flatnonzero(bits[:, low] != bits[:, high])
    cycle = int(different[different >= recording.first_compared][0])
    text = re.sub(
        rf"\.Q\(accumulator\[({low}|{high})\]\)",
        lambda match: f".Q(accumulator[{low + high - int(match[1])}])",
        mapped.circuit.text,
    )
    assert text != mapped.circuit.text
    with pytest.raises(ReplayError, match=r"^cycle \d+: output accumulator differs$") as caught:
        mapped.replay(text, tmp_path)
    # The next sum is formed from the swapped bits, so it may be wrong before they differ.
    assert int(str(caught.value).split()[1].rstrip(":")) <= cycle


def test_harmless_changes_pass(mapped: Mapped, tmp_path: Path) -> None:
    """NAND's inputs may be swapped: it is the fault that is caught, not the edited text."""
    circuit = mapped.circuit
    name = next(name for name in circuit.logic if "nand2_" in circuit.gates[name].type)
    fault = Fault(name, swapped=("A", "B"))
    assert mapped.prediction(fault) is None
    assert mapped.replay(fault.damage(circuit), tmp_path) == mapped.costs[0].netlist_checks


def test_the_stimulus_of_another_circuit_is_refused(mapped: Mapped, tmp_path: Path) -> None:
    other = tmp_path / "ports.bin"
    for header in (
        mapped.circuit.recording.header.replace(b"a:5", b"a:6"),
        mapped.circuit.recording.header.replace(b"last:", b"ends:"),
        b"",
    ):
        other.write_bytes(header + mapped.circuit.recording.samples + TRAILER)
        with pytest.raises(ReplayError, match="was not recorded from a circuit with these ports"):
            mapped.replay(mapped.circuit.text, tmp_path, other)


@pytest.mark.parametrize("samples", ["none", "without a reset", "up to the reset"])
def test_a_recording_with_nothing_to_compare_is_refused(
    mapped: Mapped, samples: str, tmp_path: Path
) -> None:
    recording = mapped.circuit.recording
    size = len(recording.samples) // recording.cycles
    running = int(np.flatnonzero(~recording.values["rst"][:, 0])[0])
    stimulus = tmp_path / "ports.bin"
    stimulus.write_bytes(
        recording.header
        + {
            "none": b"",
            "without a reset": recording.samples[running * size : (running + 50) * size],
            "up to the reset": recording.samples[:size],
        }[samples]
        + TRAILER
    )
    with pytest.raises(ReplayError, match="nothing to compare"):
        mapped.replay(mapped.circuit.text, tmp_path, stimulus)


@pytest.mark.parametrize("missing", [1, len(TRAILER), len(TRAILER) + 3])
def test_a_recording_that_is_cut_off_is_refused(
    mapped: Mapped, missing: int, tmp_path: Path
) -> None:
    stimulus = tmp_path / "ports.bin"
    stimulus.write_bytes(mapped.stimulus.read_bytes()[:-missing])
    with pytest.raises(ReplayError, match="is cut off"):
        mapped.replay(mapped.circuit.text, tmp_path, stimulus)
