"""The engine with descriptors under a cocotb testbench: descriptors in, outputs and events out."""

from collections.abc import Iterator, Sequence

import numpy as np

from hdl.ebatch.described import DescriptorRegister
from hdl.ebatch.descriptors import descriptor
from hdl.ebatch.flags import Status
from hdl.ebatch.refusals import described_event
from sim.bench import Bench, Sink, Source, StreamEnd
from sim.ebatch.circuit import ALL_STEPS
from sim.ebatch.driver import Driver
from sim.ebatch.reference import compare, expect, record
from sim.ebatch.token_memory import TokenMemory
from sim.ebatch.tokens import Submission
from sim.packing import pack_fields, unpack_fields


class Run:
    """Sequences on their way through the engine, and what must come of them.

    submissions: in the order of their descriptors; one without steps, or of a lane that does not
    exist, must be refused. source, sink, done: ends of ``i_descriptor``, ``o`` and ``o_done``.
    """

    def __init__(self, driver: "DescriptorDriver", submissions: Sequence[Submission]) -> None:
        self._driver, self._bench, p = driver, driver.bench, driver.parameters
        self.good = [each for each in submissions if each.lane < p.lanes and len(each)]
        self.refused = [each for each in submissions if each not in self.good]
        self._before = len(driver.tokens.fetched)
        beats = [
            pack_fields(
                descriptor(p),
                lane=each.lane,
                tag=each.tag,
                length=len(each),
                base=driver.tokens.place(each),
            )
            for each in submissions
        ]
        patterns = driver.patterns
        self.source = Source(self._bench, "i_descriptor", beats, patterns[0])
        self.sink = Sink(self._bench, "o", patterns[1])
        self.done = Sink(self._bench, "o_done", patterns[2])
        all_steps = bool(driver.control & ALL_STEPS)
        self._expected = expect(p, driver.network, self.good, all_steps)
        self._outputs = sum(len(lane.outputs) for lane in self._expected)
        self._outputs *= p.hidden_size // p.width
        steps = sum(map(len, self.good)) + p.max_steps
        self.limit = 20_000 + 8 * steps * sum(map(p.step_cycles, range(p.layers)))

    @property
    def ends(self) -> tuple[StreamEnd, ...]:
        return (self.source, self.sink, self.done, *self._driver.memories)

    @property
    def is_out(self) -> bool:
        """Everything has come out that must, and the engine is at rest."""
        events = len(self.good) + len(self.refused)
        return (
            self.source.done
            and len(self.done.received) >= events
            and len(self.sink.received) >= self._outputs
            and not int(self._bench.port("busy").value)
        )

    def check(self) -> None:
        """Compare every step, every event, and how many words were fetched."""
        bench, p = self._bench, self._driver.parameters
        layout = described_event(p)
        events = [(cycle, unpack_fields(layout, event)) for cycle, event in self.done.received]
        refused = [event for _, event in events if event["status"] in REFUSED]
        wanted = [
            {
                "tag": each.tag,
                "lane": each.lane,
                "steps": 0,
                "status": Status.EMPTY if each.lane < p.lanes else Status.NO_LANE,
            }
            for each in self.refused
        ]
        bench.check(refused == wanted, f"refusals {refused}, expected {wanted}")
        bench.checks += 4 * len(wanted)
        done = [
            (cycle, payload)
            for cycle, payload in self.done.received
            if unpack_fields(layout, payload)["status"] not in REFUSED
        ]
        bench.checks += compare(record(p, self.sink.received, done), self._expected)
        words = sum(map(len, self.good)) * (p.input_size // p.width)
        fetched = len(self._driver.tokens.fetched) - self._before
        bench.check_equal(fetched, words, "words that were fetched")
        waited = self._driver.tokens.waited
        bench.check_equal(waited, 0, "cycles in which a word had no place")


REFUSED = (Status.EMPTY, Status.NO_LANE)


class DescriptorDriver(Driver):
    """Puts sequences into memory and hands over their descriptors.

    tokens: the memory they lie in. patterns: of descriptors, outputs and events, for the runs to
    come.
    """

    def __init__(self, bench: Bench, weights: str = "flowing", latency: int = 0) -> None:
        super().__init__(bench, weights)
        self.patterns = ("flowing", "flowing", "flowing")
        self.use_memory(latency=latency)

    def use_memory(self, pattern: str = "flowing", latency: int = 0, jitter: int = 0) -> None:
        """From now on sequences lie in a memory that answers so, see ``TokenMemory``."""
        self.tokens = TokenMemory(self.bench, self.parameters, pattern, latency, jitter)
        self.memories = (self.memory, self.tokens)

    def bad(self, count: int) -> list[Submission]:
        """Sequences that must be refused: without steps, for no lane, or both."""
        rng, p = self.bench.rng, self.parameters
        absent = range(p.lanes, 1 << max(1, (p.lanes - 1).bit_length()))
        kinds = [(0, lane) for lane in range(p.lanes)]
        kinds += [(length, lane) for lane in absent for length in (0, 1, 3)]
        chosen = [kinds[at % len(kinds)] for at in rng.permutation(count)]
        return [
            Submission(
                lane, int(rng.integers(1 << p.tag_bits)), np.ones((length, p.input_size), np.int8)
            )
            for length, lane in chosen
        ]

    async def describe(
        self,
        submissions: Sequence[Submission],
        *,
        takes_outputs: Iterator[bool] | None = None,
        takes_events: Iterator[bool] | None = None,
        also: Sequence[StreamEnd] = (),
    ) -> Run:
        """Run sequences and compare everything that comes out.

        takes_outputs, takes_events: whether one is taken, cycle by cycle, instead of a pattern.
        """
        run = Run(self, submissions)
        if takes_outputs is not None:
            run.sink.active = takes_outputs
        if takes_events is not None:
            run.done.active = takes_events
        await self.bench.run((*run.ends, *also), lambda: run.is_out, limit=run.limit)
        run.check()
        return run

    async def front_end(self) -> dict[DescriptorRegister, int]:
        """The counters of descriptors."""
        return {register: await self.read(register) for register in DescriptorRegister}
