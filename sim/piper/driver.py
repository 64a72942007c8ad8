"""The pipeline under a cocotb testbench: data sets in, compared rows out."""

from collections.abc import Sequence

from golden.piper import Settings
from hdl.piper.configurations import PiperConfiguration
from hdl.piper.counters import SIZES
from hdl.piper.parameters import Parameters
from sim.bench import Bench, Sink, Source, StreamEnd
from sim.piper.beats import FULL, BeatReader, as_bytes, as_integers, bus_beats
from sim.piper.counters import COUNTERS
from sim.piper.memory import MemoryPort
from sim.piper.reference import Reference

Patterns = tuple[str, str]
FLOWING: Patterns = ("flowing", "flowing")
#: Cycles without a transfer after which nothing more goes in.
STANDSTILL = 300


class Driver:
    """Sends data sets through the design and compares all that comes out with the golden model."""

    def __init__(self, bench: Bench) -> None:
        assert isinstance(bench.configuration, PiperConfiguration)
        self.bench = bench
        self.parameters: Parameters = bench.configuration.parameters
        self.reference = Reference(self.parameters)
        self.reader = BeatReader(self.parameters)
        stage = bench.configuration.build().pipeline.vocabularies
        lanes = stage.lanes if self.parameters.off_chip else ()
        self.memories = [MemoryPort(bench, lane, "random") for lane in lanes]
        self.clear_port = bench.port("clear")
        self.clear_port.value = 0
        bench.port("counter").value = 0
        self.settings = Settings()
        self.set(self.settings)

    def set(self, settings: Settings) -> None:
        """Change the settings, as one may while nothing is inside."""
        self.settings = settings
        for name in ("modulus", "mode", "unseen_index"):
            self.bench.port(name).value = int(getattr(settings, name))

    async def clear(self) -> None:
        """Forget everything, by the port."""
        self.clear_port.value = 1
        await self.bench.tick()
        self.clear_port.value = 0
        self.forget()

    def forget(self) -> None:
        """The design has been reset or cleared."""
        self.reference.model.clear()
        for memory in self.memories:
            memory.forget()

    async def send(
        self,
        data_sets: Sequence[bytes],
        patterns: Patterns = FLOWING,
        *,
        layout: str = FULL,
        shifts: Sequence[int] = (),
        until_full: bool = False,
    ) -> tuple[Source, Sink]:
        """Send data sets, one behind the other, and compare everything.

        shifts: lanes left out before each; none if there are none. until_full: take nothing
        until nothing more goes in.
        """
        bench, p = self.bench, self.parameters
        source, sink = self.ends(data_sets, patterns, layout=layout, shifts=shifts)
        if until_full:
            await self._fill(source)
        ends: tuple[StreamEnd, ...] = (source, sink, *self.memories)
        tables = [self.reference.expect(data, self.settings) for data in data_sets]
        expected = sum(len(table.words) * p.beats + 1 for table in tables)
        steps = sum(len(table.all_causes) for table in tables) * p.beats
        steps += sum(map(len, data_sets)) // p.bus_bytes
        limit = 20 * steps + 3 * p.entries + 2000
        await bench.run(ends, lambda: len(sink.received) >= expected, limit=limit)
        busy = bench.port("busy")
        await bench.run(ends, lambda: not int(busy.value), limit=1000)
        for _ in range(8):
            await bench.tick(*ends)
        bench.check(source.done, "the output is complete before the input")
        outputs = self.reader.read(as_bytes(sink.payloads, len(bench.port("o__payload"))))
        bench.check_equal(len(outputs), len(data_sets), "data sets")
        for number, (output, table) in enumerate(zip(outputs, tables, strict=True)):
            count, mismatch = self.reference.compare(output, table)
            bench.checks += count
            if mismatch:
                raise AssertionError(f"data set {number}, {mismatch}")
        await self.check_counters()
        return source, sink

    async def _fill(self, source: Source) -> None:
        """Refuse the output until the input has stood still for long."""
        ready = self.bench.port("o__ready")
        ready.value = 0
        taken = -1
        while taken < len(source.taken):
            taken = len(source.taken)
            for _ in range(STANDSTILL):
                await self.bench.tick(source, *self.memories)
        self.bench.check(not source.done, "all data fit in, so nothing is full")
        ready.value = 1

    def ends(
        self,
        data_sets: Sequence[bytes],
        patterns: Patterns,
        *,
        layout: str = FULL,
        shifts: Sequence[int] = (),
    ) -> tuple[Source, Sink]:
        """Source and sink for data sets, driven once."""
        bench = self.bench
        beats = []
        for number, data in enumerate(data_sets):
            shift = shifts[number] if shifts else 0
            rows = bus_beats(data, self.parameters.bus_bytes, bench.rng, layout, shift)
            beats += as_integers(rows)
        source, sink = Source(bench, "i", beats, patterns[0]), Sink(bench, "o", patterns[1])
        ends: tuple[StreamEnd, ...] = (source, sink, *self.memories)
        for end in ends:
            end.drive()
        return source, sink

    async def check_counters(self) -> None:
        """Compare all counters and the sizes of all vocabularies."""
        bench = self.bench
        bench.check_equal(int(bench.port("busy").value), 0, "busy")
        for name, expected in self.reference.counters().items():
            bench.check_equal(await self.counter(COUNTERS[name]), expected, f"counter {name}")
        for column, size in enumerate(self.reference.model.vocabulary_sizes):
            found = await self.counter(SIZES + column)
            bench.check_equal(found, size, f"vocabulary size of column {column}")

    async def counter(self, address: int) -> int:
        self.bench.port("counter").value = address
        await self.bench.tick()
        await self.bench.tick()
        return int(self.bench.port("counter_value").value)
