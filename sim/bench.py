"""What all testbenches share: clock, reset, streams with stalls, and counted comparisons."""

import functools
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from hdl.datapath import Configuration, find_datapath
from sim.sources import loaded_files

#: Ways in which a source pauses or a sink refuses.
PATTERNS = ("flowing", "random", "bursts")

DATAPATH_VARIABLE = "ASSAY_DATAPATH"
CONFIGURATION_VARIABLE = "ASSAY_CONFIGURATION"
RESULT_VARIABLE = "ASSAY_RESULT"

#: Operands of a stretch of work that are not called anything else.
UNIFORM = "uniform"


def active_cycles(pattern: str, rng: np.random.Generator) -> Iterator[bool]:
    """Whether a stream's end is active, cycle by cycle."""
    if pattern == "flowing":
        while True:
            yield True
    if pattern == "random":
        while True:
            yield from (rng.random(256) < 0.5).tolist()
    if pattern == "bursts":
        while True:
            for active in (True, False):
                yield from [active] * int(rng.geometric(0.1))
    raise ValueError(f"pattern is {pattern!r}; allowed are {', '.join(PATTERNS)}")


class StreamEnd(Protocol):
    """One end of a stream: looks at the ports at a clock edge, then drives them."""

    def sample(self, cycle: int) -> None: ...

    def drive(self) -> None: ...


class Source:
    """Offers ``beats`` (packed payloads) on the input stream ``name``.

    Once offered, a beat stays until it is taken. ``taken`` holds the cycle of each transfer.
    """

    def __init__(self, bench: "Bench", name: str, beats: Sequence[int], pattern: str) -> None:
        self._valid = bench.port(f"{name}__valid")
        self._ready = bench.port(f"{name}__ready")
        self._payload = bench.port(f"{name}__payload")
        self._beats = beats
        self._active = active_cycles(pattern, bench.rng)
        self._offering = False
        self._garbage = (1 << len(self._payload)) - 1
        self.taken: list[int] = []

    @property
    def done(self) -> bool:
        return len(self.taken) == len(self._beats)

    def sample(self, cycle: int) -> None:
        if self._offering and int(self._ready.value):
            self.taken.append(cycle)
            self._offering = False
            if self.done or not next(self._active):
                self._pause()
                return
            self._offer()

    def drive(self) -> None:
        if not self._offering and not self.done and next(self._active):
            self._offer()

    def _offer(self) -> None:
        self._payload.value = self._beats[len(self.taken)]
        self._valid.value = 1
        self._offering = True

    def _pause(self) -> None:
        """Offer nothing: the payload is then the worst it could be, the last one inverted."""
        self._valid.value = 0
        self._payload.value = self._garbage ^ self._beats[len(self.taken) - 1]

    def withdraw(self) -> None:
        """Stop offering, as a reset of the sender would."""
        self._valid.value = 0
        self._offering = False
        self._beats = self._beats[: len(self.taken)]


class Sink:
    """Takes payloads from the output stream ``name``; ``received`` pairs them with their cycles.

    Fails if ``valid`` falls or the payload changes before the transfer. active: whether it takes
    something, cycle by cycle; a test may put another iterator there.
    """

    def __init__(self, bench: "Bench", name: str, pattern: str) -> None:
        self._bench = bench
        self._name = name
        self._valid = bench.port(f"{name}__valid")
        self._ready = bench.port(f"{name}__ready")
        self._payload = bench.port(f"{name}__payload")
        self.active = active_cycles(pattern, bench.rng)
        self._is_ready = False
        self._ready.value = 0
        self._waiting: int | None = None
        self.received: list[tuple[int, int]] = []

    @property
    def payloads(self) -> list[int]:
        return [payload for _, payload in self.received]

    def sample(self, cycle: int) -> None:
        valid = bool(int(self._valid.value))
        if self._waiting is not None:
            self._bench.check(valid, f"{self._name}: valid fell before ready in cycle {cycle}")
        if not valid:
            return
        payload = int(self._payload.value)
        if self._waiting is not None:
            same = payload == self._waiting
            self._bench.check(same, f"{self._name}: payload changed while waiting, cycle {cycle}")
        if self._is_ready:
            self.received.append((cycle, payload))
        self._waiting = None if self._is_ready else payload

    def drive(self) -> None:
        active = next(self.active)
        if active != self._is_ready:
            self._ready.value = int(active)
            self._is_ready = active


class Bench:
    """A design under test with a running clock.

    ``rng`` is seeded by the run's seed and by the test's name alone, so that any test replays by
    itself. ``checks`` counts comparisons; a test that made none fails.
    """

    def __init__(self, dut: Any, test: str) -> None:
        self.dut = dut
        self.configuration: Configuration = find_datapath(
            os.environ[DATAPATH_VARIABLE]
        ).configuration(os.environ[CONFIGURATION_VARIABLE])
        self.seed = cocotb.RANDOM_SEED
        self.rng = np.random.default_rng([self.seed, *test.encode()])
        self.checks = 0
        self.cycle = 0
        self.figures: dict[str, float] = {}
        self.stretches: dict[str, dict[str, int | None]] = {}

    def port(self, name: str) -> Any:
        return getattr(self.dut, name)

    async def start(self) -> None:
        for handle in self.dut:
            if _is_handshake_input(handle._name):
                handle.value = 0
        Clock(self.dut.clk, 10, unit="ns").start()
        await self.reset(2)

    async def reset(self, cycles: int = 1) -> None:
        """Hold reset over ``cycles`` clock edges; on return it has just been released."""
        self.dut.rst.value = 1
        for _ in range(cycles):
            await self.tick()
        self.dut.rst.value = 0

    async def tick(self, *ends: StreamEnd) -> None:
        """One clock edge: every end sees the ports as registers do, then drives them."""
        await RisingEdge(self.dut.clk)
        for end in ends:
            end.sample(self.cycle)
        for end in ends:
            end.drive()
        self.cycle += 1

    async def run(
        self, ends: Sequence[StreamEnd], until: Callable[[], bool], *, limit: int
    ) -> None:
        """Tick until the condition holds. Fails after ``limit`` cycles: the design hangs."""
        start = self.cycle
        while not until():
            if self.cycle - start >= limit:
                raise AssertionError(f"hangs: not finished after {limit} cycles")
            await self.tick(*ends)

    def check(self, condition: bool, message: str) -> None:
        self.checks += 1
        if not condition:
            raise AssertionError(message)

    def check_equal(self, actual: Any, expected: Any, what: str) -> None:
        """Compare two integer arrays element by element; names the first that differs."""
        got, want = np.asarray(actual), np.asarray(expected)
        if got.shape != want.shape:
            raise AssertionError(f"{what}: {got.shape} results, expected {want.shape}")
        self.checks += got.size
        wrong = np.argwhere(np.atleast_1d(got != want))
        if len(wrong):
            first = tuple(int(index) for index in wrong[0])
            raise AssertionError(
                f"{what}: {len(wrong)} of {got.size} wrong, first at {list(first)}: "
                f"got {np.atleast_1d(got)[first]}, expected {np.atleast_1d(want)[first]}"
            )

    def report_work(
        self, work: int, cycles: int, first: int | None = None, operands: str = UNIFORM
    ) -> None:
        """State a stretch of sustained work: ``work`` units done in ``cycles`` cycles.

        first: what ``cycle`` was in the first of them. With it, ``make synth`` states the energy
        that these very cycles take; without it, none. operands: what is worked on. The operands
        that a run names first give its throughput; others add an energy. The same operands
        again take the place of what was said of them.
        """
        self.stretches[operands] = {"first_cycle": first, "cycles": cycles, "work": work}


def _is_handshake_input(name: str) -> bool:
    stream, _, end = name.rpartition("__")
    return end == ("valid" if stream.startswith("i") else "ready")


def bench_test(function: Callable[[Bench], Awaitable[None]]) -> Any:
    """Make a cocotb test of ``function``; its checks and figures go to the run's result."""

    @cocotb.test()
    @functools.wraps(function)
    async def wrapped(dut: Any) -> None:
        bench = Bench(dut, function.__name__)
        await bench.start()
        await function(bench)
        assert bench.checks > 0, "the test compared nothing"
        _save(function.__name__, bench)

    return wrapped


def empty_outcome() -> dict[str, Any]:
    """What a testbench leaves behind before its first test has passed."""
    return {"tests": {}, "figures": {}, "stretches": {}, "sources": []}


def _save(test: str, bench: Bench) -> None:
    file = Path(os.environ[RESULT_VARIABLE])
    result = json.loads(file.read_text()) if file.exists() else empty_outcome()
    result["sources"] = loaded_files(bench.configuration)
    # All tests are recorded one after the other; ``cycle`` starts anew in each.
    before = sum(each["cycles"] for each in result["tests"].values())
    for operands, stretch in bench.stretches.items():
        first = stretch["first_cycle"]
        place = None if first is None else before + first
        result["stretches"][operands] = {**stretch, "first_cycle": place}
    result["tests"][test] = {"checks": bench.checks, "cycles": bench.cycle}
    result["figures"] |= bench.figures
    file.write_text(json.dumps(result))
