"""A circuit with streams, driven from C++: millions of cycles in one call.

The same rules as in ``sim.bench``. A source keeps a beat on offer until it is taken; when it
offers nothing, ``valid`` is 0 and the payload is garbage. All ports are looked at as registers
see them, at the rising edge. A circuit whose ``valid`` falls, or whose payload changes, before the
transfer is wrong. Streams go by their ports: ``X__payload``, ``X__valid`` and ``X__ready``, which
a stream that is always ready lacks.
"""

import ctypes
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from amaranth.lib import wiring
from numpy.typing import NDArray

from hdl.export import export
from sim.model import RUNTIME, write_verilog
from sim.ports import Port, top_ports
from sim.shared_library import build_shared_library

SOURCE = RUNTIME / "stream_runner.cpp"
#: Ways in which a source pauses or a sink stalls, as in ``sim.bench``; numbered as in C++.
PATTERNS = ("flowing", "random", "bursts")
CLOCK, RESET = "clk", "rst"
_FOREVER = 1 << 62


class StreamError(AssertionError):
    """The circuit breaks the rules of a stream, or hangs; the message names stream and cycle."""


@dataclass(frozen=True)
class StreamRun:
    """What a run transferred, by the name of the stream.

    received: uint8 (payloads, bytes), little-endian. received_at, taken_at: uint64, the cycle of
    each transfer, counted from 0 at the start of the run. cycles: how many the run took.
    """

    received: dict[str, NDArray[np.uint8]]
    received_at: dict[str, NDArray[np.uint64]]
    taken_at: dict[str, NDArray[np.uint64]]
    cycles: int


@dataclass(frozen=True)
class _StreamPorts:
    """Numbers of a stream's ports. ready: None if the stream is always ready."""

    payload: int
    valid: int
    ready: int | None
    width: int

    @property
    def row_bytes(self) -> int:
        return _bytes(self.width)


class StreamRunner:
    """One instance of a circuit with its state, from power-up on. Not for several threads at once.

    widths: bits of the payload of each stream. Streams that a run does not name stand still:
    nothing is offered, nothing is taken.
    """

    def __init__(self, library: Path, ports: tuple[Port, ...]) -> None:
        self._ports = [port for port in ports if port.name != CLOCK]
        self._numbers = {port.name: number for number, port in enumerate(self._ports)}
        self._sources = self._streams(is_input=True)
        self._sinks = self._streams(is_input=False)
        streams = {**self._sources, **self._sinks}
        self.widths = {name: stream.width for name, stream in streams.items()}
        parts = [(each.payload, each.valid, each.ready) for each in streams.values()]
        self._of_streams = {number for of_one in parts for number in of_one}
        self._library = ctypes.CDLL(str(library))
        self._library.assay_create.restype = ctypes.c_void_p
        self._library.assay_run.restype = _Outcome
        self._library.assay_transfers.restype = ctypes.c_uint64
        self._runner = ctypes.c_void_p(self._library.assay_create())

    def reset(self, cycles: int = 2) -> None:
        """Hold reset over ``cycles`` clock edges; on return it has just been released."""
        self._write(RESET, 1)
        self.tick(cycles)
        self._write(RESET, 0)

    def set(self, **inputs: int) -> None:
        """Give plain input ports their values, from the next clock edge on.

        Raises ValueError for what is no such port, or does not fit it.
        """
        plain = [
            port.name
            for number, port in enumerate(self._ports)
            if port.is_input and port.name != RESET and number not in self._of_streams
        ]
        for name, value in inputs.items():
            if name not in plain:
                raise ValueError(f"{name} is no plain input port; there are: {_listed(plain)}")
            width = self._ports[self._numbers[name]].width
            if not 0 <= operator.index(value) < 1 << width:
                raise ValueError(f"{name} is {value}, which does not fit its {width} bits")
        for name, value in inputs.items():
            self._write(name, operator.index(value))

    def get(self, name: str) -> int:
        """What a port holds now. Raises ValueError if there is no such port."""
        if name not in self._numbers:
            raise ValueError(f"{name} is no port; there are: {_listed(self._numbers)}")
        number = self._numbers[name]
        data = (ctypes.c_uint8 * _bytes(self._ports[number].width))()
        self._library.assay_read(self._runner, number, data, ctypes.c_uint64(len(data)))
        return int.from_bytes(data, "little")

    def tick(self, cycles: int = 1) -> None:
        """Clock edges at which every stream stands still."""
        if cycles < 0:
            raise ValueError(f"{cycles} cycles: there are no negative ones")
        self._library.assay_tick(self._runner, ctypes.c_uint64(cycles))

    def run(
        self,
        sources: Mapping[str, NDArray[np.uint8]],
        sinks: Mapping[str, int | None],
        *,
        pause: str | Mapping[str, str] = "flowing",
        stall: str | Mapping[str, str] = "flowing",
        seed: int = 1,
        limit: int = 1_000_000,
        until_idle: bool = False,
        idle: int = 64,
        cycles: int | None = None,
    ) -> StreamRun:
        """Offer all beats of ``sources``, and take from ``sinks`` what comes.

        sources: (beats, bytes) of each, little-endian. sinks: how many payloads are expected, or
        None for any number. pause, stall: how sources pause and sinks stall: "flowing" (never),
        "random" (every other cycle, by chance) or "bursts" (ten cycles at a time, on average),
        one for all or by name; those that are not named flow. The same seed gives the same pauses.

        The run ends when all beats are taken and all expected payloads received. With
        ``until_idle``, or if any number is None, it goes on until ``idle`` cycles in a row saw no
        beat and no payload on these streams.

        With ``cycles`` it lasts just so long, and ``taken_at`` tells how many beats were taken: the
        next run must go on with the one behind them.

        Raises StreamError if valid falls or a payload changes while it waits, if there are more
        payloads than expected, and if the run has not ended after ``limit`` cycles: reset the
        circuit then. Raises ValueError for arguments that do not fit the circuit.
        """
        given = {name: _find(name, self._sources, "input") for name in sources}
        wanted = {name: _find(name, self._sinks, "output") for name in sinks}
        rows = {name: _rows(name, sources[name], ports) for name, ports in given.items()}
        pauses = _patterns("pause", pause, given)
        stalls = _patterns("stall", stall, wanted)
        counts = {name: -1 if count is None else count for name, count in sinks.items()}
        for name, count in sinks.items():
            if count is not None and count < 0:
                raise ValueError(f"{name}: {count} payloads cannot be received")
        if cycles is not None:
            until_idle, idle, limit = True, _FOREVER, cycles
        for what, count in (("limit", limit), ("idle", idle)):
            if count < 0:
                raise ValueError(f"{what} is {count}; allowed are 0 and more")
        streams = [
            *(_stream(name, each, pauses[name], seed, rows[name]) for name, each in given.items()),
            *(
                _stream(name, each, stalls[name], seed, counts[name])
                for name, each in wanted.items()
            ),
        ]
        outcome = self._library.assay_run(
            self._runner,
            (_Stream * len(streams))(*streams),
            ctypes.c_uint32(len(given)),
            ctypes.c_uint32(len(wanted)),
            ctypes.c_int32(until_idle or None in sinks.values()),
            ctypes.c_uint64(idle),
            ctypes.c_uint64(limit),
        )
        taken = {name: self._transfers(number)[1] for number, name in enumerate(given)}
        received = {
            name: self._transfers(number, ports.row_bytes)
            for number, (name, ports) in enumerate(wanted.items(), start=len(given))
        }
        is_over = outcome.status == _HANGS and cycles is not None
        if outcome.status != _DONE and not is_over:
            progress = [
                *(f"{name} gave {len(at)} of {len(rows[name])}" for name, at in taken.items()),
                *(
                    f"{name} received {len(at)}"
                    + (f" of {sinks[name]}" if counts[name] >= 0 else "")
                    for name, (_, at) in received.items()
                ),
            ]
            raise StreamError(_message(outcome, list(sinks), counts, ", ".join(progress)))
        return StreamRun(
            received={name: payloads for name, (payloads, _) in received.items()},
            received_at={name: at for name, (_, at) in received.items()},
            taken_at=taken,
            cycles=outcome.cycles,
        )

    def _streams(self, is_input: bool) -> dict[str, _StreamPorts]:
        """Streams of one direction, by name: those whose payload and valid are of it."""
        found = {}
        for port in self._ports:
            name, _, part = port.name.rpartition("__")
            valid = self._numbers.get(f"{name}__valid")
            if part == "payload" and port.is_input == is_input and valid is not None:
                number, ready = self._numbers[port.name], self._numbers.get(f"{name}__ready")
                found[name] = _StreamPorts(number, valid, ready, port.width)
        return found

    def _write(self, name: str, value: int) -> None:
        number = self._numbers[name]
        size = _bytes(self._ports[number].width)
        data = value.to_bytes(size, "little")
        self._library.assay_write(self._runner, number, data, ctypes.c_uint64(size))

    def _transfers(
        self, number: int, row_bytes: int = 0
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        """Payloads and cycles of a stream of the last run; without payloads of a source."""
        payloads, cycles = ctypes.c_void_p(), ctypes.c_void_p()
        count = self._library.assay_transfers(
            self._runner, number, ctypes.byref(payloads), ctypes.byref(cycles)
        )
        data = ctypes.string_at(payloads, count * row_bytes)
        at = ctypes.string_at(cycles, 8 * count)
        shaped = np.frombuffer(bytearray(data), np.uint8).reshape(count, row_bytes)
        return shaped, np.frombuffer(bytearray(at), np.uint64)

    def __del__(self) -> None:
        if runner := getattr(self, "_runner", None):
            self._library.assay_destroy(runner)


def build_stream_runner(circuit: wiring.Component | str) -> StreamRunner:
    """A runner of a component or of exported RTLIL, compiled once for equal text."""
    rtlil = circuit if isinstance(circuit, str) else export(circuit)
    ports = top_ports(rtlil)

    library = build_shared_library(
        rtlil, ports, lambda folder: write_verilog(rtlil, folder), SOURCE
    )
    return StreamRunner(library, ports)


class _Stream(ctypes.Structure):
    """``Stream`` of the C++ side."""

    _fields_ = [
        ("payload", ctypes.c_uint32),
        ("valid", ctypes.c_uint32),
        ("ready", ctypes.c_int32),
        ("pattern", ctypes.c_uint32),
        ("seed", ctypes.c_uint64),
        ("bits", ctypes.c_uint64),
        ("count", ctypes.c_int64),
        ("rows", ctypes.c_void_p),
    ]


class _Outcome(ctypes.Structure):
    """``Outcome`` of the C++ side. sink: number of the one that is wrong."""

    _fields_ = [("status", ctypes.c_int32), ("sink", ctypes.c_uint32), ("cycles", ctypes.c_uint64)]


_DONE, _HANGS, _VALID_FELL, _PAYLOAD_CHANGED, _TOO_MANY = range(5)


def _message(outcome: _Outcome, sinks: list[str], counts: dict[str, int], progress: str) -> str:
    cycle = outcome.cycles
    if outcome.status == _HANGS:
        return f"hangs: not finished after {cycle} cycles; {progress}"
    name = sinks[outcome.sink]
    return {
        _VALID_FELL: f"{name}: valid fell before ready in cycle {cycle}",
        _PAYLOAD_CHANGED: f"{name}: payload changed while waiting, cycle {cycle}",
        _TOO_MANY: f"{name}: payload in cycle {cycle} after all {counts[name]} that were expected",
    }[outcome.status]


def _stream(
    name: str, ports: _StreamPorts, pattern: str, seed: int, what: NDArray[np.uint8] | int
) -> _Stream:
    """what: the rows that a source offers, or how many payloads a sink expects."""
    own_seed = int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:8], "little")
    return _Stream(
        payload=ports.payload,
        valid=ports.valid,
        ready=-1 if ports.ready is None else ports.ready,
        pattern=PATTERNS.index(pattern),
        seed=own_seed,
        bits=ports.width,
        count=what if isinstance(what, int) else len(what),
        rows=None if isinstance(what, int) else what.ctypes.data,
    )


def _rows(name: str, beats: NDArray[np.uint8], ports: _StreamPorts) -> NDArray[np.uint8]:
    """The beats of a source as C++ reads them. Raises ValueError if they do not fit the stream."""
    if beats.dtype != np.uint8 or beats.ndim != 2 or beats.shape[1] != ports.row_bytes:
        raise ValueError(
            f"{name}: beats are {beats.dtype} of shape {beats.shape}, "
            f"not uint8 of shape (beats, {ports.row_bytes})"
        )
    if spare := 8 * ports.row_bytes - ports.width:
        wrong = np.flatnonzero(beats[:, -1] >> (8 - spare))
        if len(wrong):
            raise ValueError(f"{name}: beat {wrong[0]} does not fit its {ports.width} bits")
    return np.ascontiguousarray(beats)


def _find(name: str, streams: Mapping[str, _StreamPorts], kind: str) -> _StreamPorts:
    if name not in streams:
        raise ValueError(f"{name} is no {kind} stream; there are: {_listed(streams)}")
    return streams[name]


def _patterns(what: str, given: str | Mapping[str, str], streams: Iterable[str]) -> dict[str, str]:
    """The pattern of each stream."""
    by_name = dict.fromkeys(streams, given) if isinstance(given, str) else given
    if unknown := by_name.keys() - set(streams):
        raise ValueError(f"{what}: the run has no stream {_listed(sorted(unknown))}")
    for pattern in by_name.values():
        if pattern not in PATTERNS:
            raise ValueError(f"{what} is {pattern!r}; allowed are {', '.join(PATTERNS)}")
    return {name: by_name.get(name, PATTERNS[0]) for name in streams}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _bytes(width: int) -> int:
    return (width + 7) // 8
