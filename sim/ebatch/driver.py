"""The engine under a cocotb testbench: sequences in, compared outputs and events out."""

from collections.abc import Iterator, Sequence

import numpy as np

from golden.ebatch import Layer
from hdl.ebatch.configurations import EbatchConfiguration
from hdl.ebatch.flags import weight_beat
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.registers import COUNTERS, Register
from sim.bench import Bench, Sink, Source, StreamEnd, active_cycles
from sim.ebatch.circuit import ALL_STEPS, EARLY_END, RUN
from sim.ebatch.networks import random_network
from sim.ebatch.reference import compare, expect, record
from sim.ebatch.tokens import Submission, in_turn
from sim.ebatch.weights import load_words
from sim.packing import pack_fields

#: How tokens, outputs, events and weights pause or stall.
Patterns = tuple[str, str, str, str]
FLOWING: Patterns = ("flowing", "flowing", "flowing", "flowing")


class WeightMemory:
    """Answers the engine's loads with the words of the layer that is asked for.

    latency: cycles between a request and its first word. spoil: of the loads to come, by their
    number from 0 on, how many words are missing at the end (or too many, if below 0). loads: the
    layers that were asked for, in order. words: how many words were taken.
    """

    def __init__(
        self,
        bench: Bench,
        parameters: Parameters,
        network: Sequence[Layer],
        pattern: str = "flowing",
        latency: int = 0,
    ) -> None:
        self._request = {name: bench.port(f"o_load__{name}") for name in _STREAM}
        self._words = {name: bench.port(f"i_weights__{name}") for name in _STREAM}
        layout = weight_beat(parameters)
        self._layers = [
            [pack_fields(layout, data=word) for word in load_words(layer, parameters)]
            for layer in network
        ]
        self._last = pack_fields(layout, last=1)
        self._active = active_cycles(pattern, bench.rng)
        self._latency = latency
        self._left: list[int] = []
        self._wait = 0
        self._offering = False
        self.spoil: dict[int, int] = {}
        self.loads: list[int] = []
        self.words = 0
        self._is_ready = True
        self._request["ready"].value = 1
        self._words["valid"].value = 0

    def sample(self, cycle: int) -> None:
        if self._offering and int(self._words["ready"].value):
            self._left.pop(0)
            self.words += 1
            self._offering = False
        if self._is_ready and int(self._request["valid"].value):
            layer = int(self._request["payload"].value)
            missing = self.spoil.get(len(self.loads), 0)
            words = self._layers[layer]
            words = words[: len(words) - missing] if missing >= 0 else words + words[:-missing]
            self._left = [*words[:-1], words[-1] | self._last]
            self._wait = self._latency
            self.loads.append(layer)

    def drive(self) -> None:
        self._is_ready = not self._left
        self._request["ready"].value = int(self._is_ready)
        active = next(self._active)
        if self._offering:
            return
        self._wait = max(0, self._wait - 1)
        self._offering = bool(self._left) and not self._wait and active
        self._words["valid"].value = int(self._offering)
        if self._offering:
            self._words["payload"].value = self._left[0]

    @property
    def is_idle(self) -> bool:
        """Nothing is asked for, and nothing under way."""
        return not self._left and not int(self._request["valid"].value)

    def forget(self) -> None:
        """The engine has been reset."""
        self._left = []
        self._offering = False
        self._is_ready = True
        self._request["ready"].value = 1
        self._words["valid"].value = 0


_STREAM = ("payload", "valid", "ready")


class Driver:
    """Sends sequences through the engine and compares all that comes out with the golden model."""

    def __init__(self, bench: Bench, weights: str = "flowing", latency: int = 0) -> None:
        assert isinstance(bench.configuration, EbatchConfiguration)
        self.bench = bench
        self.parameters: Parameters = bench.configuration.parameters
        self.network = random_network(bench.rng, self.parameters)
        self.memory = WeightMemory(bench, self.parameters, self.network, weights, latency)
        self.memories: tuple[StreamEnd, ...] = (self.memory,)
        self.control = 0
        for name in ("address", "write_enable", "write_data"):
            bench.port(name).value = 0

    async def write(self, register: int, value: int, *ends: StreamEnd) -> None:
        """Write a register; the ends, by default the memories alone, go on meanwhile."""
        bench = self.bench
        bench.port("address").value = int(register)
        bench.port("write_data").value = value
        bench.port("write_enable").value = 1
        await bench.tick(*(ends or self.memories))
        bench.port("write_enable").value = 0

    async def read(self, register: int, *ends: StreamEnd) -> int:
        """Read a register; the ends, by default the memories alone, go on meanwhile."""
        self.bench.port("address").value = int(register)
        for _ in range(2):
            await self.bench.tick(*(ends or self.memories))
        return int(self.bench.port("read_data").value)

    async def set(
        self, steps: int, *, all_steps: bool = True, early_end: bool = True, run: bool = True
    ) -> None:
        self.control = RUN * run | EARLY_END * early_end | ALL_STEPS * all_steps
        await self.write(Register.CONTROL, self.control)
        await self.write(Register.NEXT_STEPS, steps)

    def submissions(
        self, lengths: Sequence[int], lanes: Sequence[int] | None = None
    ) -> list[Submission]:
        """Sequences of these lengths with random inputs, dealt out to the lanes in turn."""
        rng, p = self.bench.rng, self.parameters
        targets = range(p.lanes) if lanes is None else lanes
        return [
            Submission(
                targets[at % len(targets)],
                int(rng.integers(1 << p.tag_bits)),
                rng.integers(-128, 128, (length, p.input_size)).astype(np.int8),
            )
            for at, length in enumerate(lengths)
        ]

    async def send(
        self,
        submissions: Sequence[Submission],
        patterns: Patterns = FLOWING,
        *,
        also: Sequence[StreamEnd] = (),
        beats: Sequence[int] | None = None,
        takes_events: Iterator[bool] | None = None,
    ) -> tuple[Source, Sink, Sink]:
        """Send sequences, a token of each lane in turn, and compare everything that comes out.

        also: other ends. beats: the tokens in another order. takes_events: whether an event is
        taken, cycle by cycle, instead of a pattern.
        """
        bench, p = self.bench, self.parameters
        all_steps = bool(self.control & ALL_STEPS)
        expected = expect(p, self.network, submissions, all_steps)
        words = p.hidden_size // p.width
        outputs = words * sum(len(lane.outputs) for lane in expected)
        events = sum(len(lane.events) for lane in expected)
        given = list(in_turn(submissions, p)) if beats is None else beats
        source = Source(bench, "i", given, patterns[0])
        sink, done = Sink(bench, "o", patterns[1]), Sink(bench, "o_done", patterns[2])
        if takes_events is not None:
            done.active = takes_events
        steps = sum(map(len, submissions))
        limit = 20_000 + 8 * (steps + p.max_steps) * sum(map(p.step_cycles, range(p.layers)))
        await bench.run(
            (source, sink, done, self.memory, *also),
            lambda: source.done and len(done.received) >= events and len(sink.received) >= outputs,
            limit=limit,
        )
        # Nothing more than that comes, and the engine comes to rest.
        await bench.run(
            (source, sink, done, self.memory, *also),
            lambda: not int(bench.port("busy").value),
            limit=limit,
        )
        found = record(p, sink.received, done.received)
        bench.checks += compare(found, expected)
        return source, sink, done

    async def check_loads(self) -> None:
        """When no load is under way: as many layers and words came in as the memory gave."""
        bench, memory = self.bench, self.memory
        await bench.run(self.memories, lambda: memory.is_idle, limit=100_000)
        found = await self.counters()
        wrong = sum(number in memory.spoil for number in range(len(memory.loads)))
        bench.check_equal(found[Register.LAYER_LOADS], len(memory.loads) - wrong, "layers loaded")
        bench.check_equal(found[Register.WORDS_LOADED], memory.words, "words loaded")

    async def counters(self) -> dict[Register, int]:
        return {register: await self.read(register) for register in COUNTERS}
