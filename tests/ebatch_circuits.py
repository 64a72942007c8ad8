"""The arithmetic units of the E-BATCH engine, in C++: all of them in one circuit, by themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from amaranth.hdl import Const, Module, Value, signed, unsigned
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Out, Signature

from golden.integers import Integers
from hdl.ebatch import activation, cell_unit, requantise
from hdl.ebatch.cell_unit import LstmCellUnit
from hdl.ebatch.gate_unit import GateUnit
from hdl.ebatch.gru_cell_unit import GruCellUnit
from hdl.ebatch.parameters import Cell
from hdl.export import Unit
from hdl.pipeline import run_stages
from sim.evaluate import Evaluator, build_evaluator
from sim.stream_runner import build_stream_runner

LANES = (1, 3, 8)
ALL_LANES = sum(LANES)
#: Gate units of GRUs are those of LSTMs, but for a first step and for the function NONE.
GATE_LANES = {Cell.LSTM: LANES, Cell.GRU_RESET_AFTER: (1, 8), Cell.GRU_RESET_BEFORE: (3,)}
ACCUMULATOR = 22


class Functions(Component):
    """Requantisation and activation without registers."""

    def __init__(self) -> None:
        super().__init__(
            {
                "value": In(signed(requantise.VALUE)),
                "multiplier": In(unsigned(requantise.MULTIPLIER)),
                "shift": In(signed(requantise.SHIFT)),
                "passed": In(8),
                "requantised": Out(signed(requantise.VALUE)),
                "passed_on": Out(8),
                "x": In(signed(activation.VALUE)),
                "x_shift": In(signed(requantise.SHIFT)),
                "is_tanh": In(1),
                "activated": Out(signed(activation.VALUE)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bundle: dict[str, Value] = {
            name: getattr(self, name) for name in ("value", "multiplier", "shift", "passed")
        }
        scaled = run_stages(m, requantise.REQUANTISE_STAGES, bundle, Const(0, 0), "scaled")
        bundle = {"value": self.x, "shift": self.x_shift, "is_tanh": self.is_tanh}
        found = run_stages(m, activation.ACTIVATION_STAGES, bundle, Const(0, 0), "found")
        m.d.comb += [
            self.requantised.eq(scaled["value"]),
            self.passed_on.eq(scaled["passed"]),
            self.activated.eq(found["value"]),
        ]
        return m


@cache
def functions() -> Evaluator:
    return build_evaluator(Functions())


#: Streams of results: their valid port, and what goes with it.
RESULTS = {
    "gate": ("valid", ("value", "pre")),
    "carry": ("carry_valid", ("carry_out",)),
    "h": ("h_valid", ("h",)),
    "q": ("q_valid", ("q",)),
}


def _units() -> dict[str, Unit]:
    """By name; a unit's results are those streams of ``RESULTS`` whose ports it has."""
    made: dict[str, Unit] = {}
    for cell, several in GATE_LANES.items():
        for lanes in several:
            made[f"{cell}-gate-{lanes}"] = GateUnit(lanes, ACCUMULATOR, cell)
    for lanes in LANES:
        made[f"{Cell.LSTM}-cell-{lanes}"] = LstmCellUnit(lanes)
        made[f"{Cell.GRU_RESET_AFTER}-cell-{lanes}"] = GruCellUnit(lanes, False)
        made[f"{Cell.GRU_RESET_BEFORE}-cell-{lanes}"] = GruCellUnit(lanes, True)
    return {name.replace("-", "_"): unit for name, unit in made.items()}


def inputs_of(unit: Unit) -> StructLayout:
    """All its input ports, as one word."""
    members = unit.signature.members.items()
    return StructLayout({name: member.shape for name, member in members if member.flow is In})


def results_of(unit: Unit) -> dict[str, StructLayout]:
    """What a payload is, of each of its streams of results."""
    ports = unit.signature.members
    is_gate = isinstance(unit, GateUnit)
    return {
        stream: StructLayout({port: ports[port].shape for port in payload})
        for stream, (valid, payload) in RESULTS.items()
        if valid in ports and is_gate == (stream == "gate")
    }


def _stream(payload: StructLayout) -> Signature:
    """A stream that is always ready."""
    return Signature({"payload": Out(payload), "valid": Out(1)})


class Units(Component):
    """Of each unit a stream of its inputs, and streams of its results, which never wait.

    A unit's own valid is in the payload of its inputs: what a pause has for it does not count.
    """

    def __init__(self) -> None:
        self.units = _units()
        ports = {}
        for name, unit in self.units.items():
            ports[name] = In(_stream(inputs_of(unit)))
            for result, layout in results_of(unit).items():
                ports[f"{name}_{result}"] = Out(_stream(layout))
        super().__init__(Signature(ports))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, unit in self.units.items():
            m.submodules[name] = unit
            source = getattr(self, name)
            for port in source.payload.shape().members:
                m.d.comb += getattr(unit, port).eq(source.payload[port])
            valid = unit.result.valid if isinstance(unit, GateUnit) else unit.valid
            given = source.payload.result if isinstance(unit, GateUnit) else source.payload
            m.d.comb += valid.eq(given.valid & source.valid)
            for result, layout in results_of(unit).items():
                sink = getattr(self, f"{name}_{result}")
                m.d.comb += sink.valid.eq(getattr(unit, RESULTS[result][0]))
                for port in layout.members:
                    m.d.comb += sink.payload[port].eq(getattr(unit, port))
        return m


class Circuit:
    """The units in C++. inputs: of each unit, by its name. results: likewise, and by stream."""

    def __init__(self) -> None:
        made = Units()
        self.runner = build_stream_runner(made)
        self.inputs = {name: inputs_of(unit) for name, unit in made.units.items()}
        self.results = {name: results_of(unit) for name, unit in made.units.items()}


@cache
def circuit() -> Circuit:
    return Circuit()


def fields(layout: StructLayout) -> dict[str, int]:
    """Names and widths of a layout, nested ones taken apart, from the lowest bit on."""
    found: dict[str, int] = {}
    for name, shape in layout.members.items():
        if isinstance(shape, StructLayout):
            found |= fields(shape)
        else:
            found[name] = Value.cast(Const(0, shape)).shape().width
    return found


def pack(layout: StructLayout, columns: Mapping[str, Integers]) -> np.ndarray:
    """Columns of integers as the rows of a stream: uint8 [rows, bytes]."""
    bits = [
        (np.asarray(columns[name])[:, None] >> np.arange(width) & 1).astype(np.uint8)
        for name, width in fields(layout).items()
    ]
    return np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")


def unpack(layout: StructLayout, rows: np.ndarray) -> dict[str, Integers]:
    """The inverse of ``pack``, of numbers that are all signed."""
    bits = np.unpackbits(rows, axis=1, bitorder="little").astype(np.int64)
    found, start = {}, 0
    for name, width in fields(layout).items():
        weights = 1 << np.arange(width)
        weights[-1] = -weights[-1]
        found[name] = bits[:, start : start + width] @ weights
        start += width
    return found


def masked(values: Integers, bits: int) -> Integers:
    return np.asarray(values, dtype=np.int64) & (1 << bits) - 1


def equal(got: Integers, want: Integers, *given: Integers) -> None:
    assert np.shape(got) == np.shape(want)
    assert np.size(got)
    wrong = np.argwhere(np.asarray(got) != np.asarray(want))
    if len(wrong):
        at = tuple(wrong[0])
        of = [int(each[at]) for each in given]
        pytest.fail(
            f"{len(wrong)} of {np.size(got)} differ, the first at {at}, of {of}: "
            f"got {int(got[at])}, wanted {int(want[at])}"
        )


@dataclass(frozen=True)
class Rows:
    """What goes into a unit, and what comes out: arrays [rows, ALL_LANES], in the order of rows.

    inputs: by port. wanted: by stream of results, which rows give one, and by port what it is.
    constants: inputs that stay as long as a row is inside. LANES are units of their own.
    """

    inputs: dict[str, Integers]
    wanted: dict[str, tuple[Integers, dict[str, Integers]]]
    constants: dict[str, int]


#: Cycles between two rows of one lane, and from one ``Rows`` to the next, at least.
APART = {"gate": 1, "cell": cell_unit.TANH_RANKS + 1}


def cycles_of(
    rng: np.random.Generator, shape: tuple[int, int], apart: int, has_pauses: bool
) -> Integers:
    """A cycle for each row and lane: one lane after the other, and then the next row."""
    waits = rng.integers(1, 20, shape) * (rng.random(shape) < 0.1) * has_pauses
    free = [0] * shape[1]
    found = np.empty(shape, dtype=np.int64)
    now = 0
    for row, wait in enumerate(waits.tolist()):
        for lane in range(shape[1]):
            now = max(now + wait[lane], free[lane])
            free[lane] = now + apart
            found[row, lane] = now
            now += 1
    return found


def lanes_of(cell: Cell, kind: str) -> tuple[int, ...]:
    """Lanes of the units of one kind."""
    return GATE_LANES[cell] if kind == "gate" else LANES


def of_lanes(array: Integers, lanes: int) -> Integers:
    """The part of the unit with so many lanes."""
    start = sum(each for each in LANES if each < lanes)
    return array[:, start : start + lanes]


def schedule(
    layout: StructLayout, every: Sequence[Rows], lanes: int, apart: int
) -> tuple[np.ndarray, dict[str, tuple[Integers, dict[str, Integers]]]]:
    """A beat for each cycle, without sense where there is no row, and by stream of results the
    cycles of the rows that give one, and what they give. Every other ``Rows`` has pauses.
    """
    rng = np.random.default_rng(lanes)
    starts, cycles, start = [], [], 0
    for number, rows in enumerate(every):
        shape = (len(next(iter(rows.inputs.values()))), lanes)
        own = start + cycles_of(rng, shape, apart, has_pauses=bool(number % 2))
        starts.append(start)
        cycles.append(own)
        start = int(own.max()) + apart
    at = np.concatenate([each.ravel() for each in cycles])
    stay = [*starts, start + apart]
    columns = {}
    for name, width in fields(layout).items():
        column = rng.integers(0, 1 << width, stay[-1])
        if name == "valid":
            column[:] = 0
            column[at] = 1
        elif name == "lane":
            column[at] = np.concatenate(
                [np.broadcast_to(np.arange(lanes), each.shape).ravel() for each in cycles]
            )
        elif name in every[0].constants:
            for rows, low, high in zip(every, stay, stay[1:], strict=False):
                column[low:high] = rows.constants[name]
        elif name in every[0].inputs:
            column[at] = np.concatenate(
                [of_lanes(rows.inputs[name], lanes).ravel() for rows in every]
            )
        columns[name] = masked(column, width)
    wanted = {}
    for stream, (_, ports) in every[0].wanted.items():
        chosen = [of_lanes(rows.wanted[stream][0], lanes) for rows in every]
        wanted[stream] = (
            np.concatenate([each[which] for each, which in zip(cycles, chosen, strict=True)]),
            {
                port: np.concatenate(
                    [
                        of_lanes(rows.wanted[stream][1][port], lanes)[which]
                        for rows, which in zip(every, chosen, strict=True)
                    ]
                )
                for port in ports
            },
        )
    return pack(layout, columns), wanted


def play(cell: Cell, kind: str, every: Sequence[Rows], latencies: Mapping[str, int]) -> int:
    """Through the units of all lanes at the same time; how many results were compared."""
    found = circuit()
    sources, sinks, wanted = {}, {}, {}
    of_kind = lanes_of(cell, kind)
    for lanes in of_kind:
        name = f"{cell}-{kind}-{lanes}".replace("-", "_")
        rows, results = schedule(found.inputs[name], every, lanes, APART[kind])
        sources[name] = rows
        for stream, (cycles, ports) in results.items():
            sinks[f"{name}_{stream}"] = len(cycles)
            wanted[f"{name}_{stream}"] = (cycles + latencies[stream], ports)
    found.runner.reset()
    run = found.runner.run(sources, sinks, until_idle=True)
    compared = 0
    for lanes in of_kind:
        name = f"{cell}-{kind}-{lanes}".replace("-", "_")
        equal(run.taken_at[name], np.arange(len(sources[name])))
        layouts = found.results[name]
        assert {f"{name}_{stream}" for stream in layouts} == {
            each for each in wanted if each.startswith(f"{name}_")
        }
        for stream, layout in layouts.items():
            sink = f"{name}_{stream}"
            cycles, ports = wanted[sink]
            got = unpack(layout, run.received[sink])
            for port, values in ports.items():
                equal(got[port], values)
                compared += values.size
            equal(run.received_at[sink].astype(np.int64), cycles)
    return compared
