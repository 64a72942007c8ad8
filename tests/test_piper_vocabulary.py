"""The vocabulary stages of Piper, beat by beat, against dictionaries.

The memory outside is the worst that its contract allows: a read sees what was there when it was
taken, and a write is seen only by reads that begin after its acknowledgement.
"""

import gc
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Cat, ClockDomain, DomainRenamer, Module, ResetInserter, Signal
from amaranth.sim import Simulator

from hdl.export import Unit, export, place
from hdl.piper import numbering, off_chip_vocabulary
from hdl.piper.beat import Cause, Mode, row_beat
from hdl.piper.off_chip_vocabulary import OffChipVocabularies
from hdl.piper.on_chip_vocabulary import OnChipVocabularies
from hdl.piper.parameters import Parameters, Source
from hdl.piper.pending_writes import PendingWrites
from hdl.piper.schema import Base, Column, Schema, Vocabulary
from hdl.piper.vocabulary import build_vocabularies
from hdl.piper.vocabulary_stage import VocabularyStage
from sim.ports import top_ports

Row = list[int]
Values = Callable[[int, int], int]
"""Of a row's number and a column's: the value there."""
WORD = (1 << 32) - 1
ON_CHIP_LATENCY = 3
OFF_CHIP_LATENCY = 5
#: From when a beat is taken to when its read is offered, and from its answer to when it leaves.
TO_READ, FROM_READ = 4, 3

both_kinds = pytest.mark.parametrize("off_chip", [False, True], ids=["on-chip", "off-chip"])


@pytest.fixture(autouse=True)
def _placed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units are beyond the reach of a reset inserted around the stage, as they are in an export."""

    def place_apart(platform: object, unit: type[Unit], *parameters: Any) -> Any:
        placed = place(platform, unit, *parameters)
        return placed if platform else DomainRenamer("placed")(placed)

    for module in (numbering, off_chip_vocabulary):
        monkeypatch.setattr(module, "place", place_apart)


def parameters_of(
    columns: str, lanes: int, entries: int, off_chip: bool, source: Source = Source.TEXT
) -> Parameters:
    """A schema by letters: v for a column with a vocabulary."""
    schema = Schema(
        columns,
        tuple(
            Column(f"{letter}{number}", Base.HEXADECIMAL, (Vocabulary(),) * (letter == "v"))
            for number, letter in enumerate(columns)
        ),
    )
    bus_bytes = lanes * (4 if source is Source.BINARY else 1)
    return Parameters(schema, bus_bytes, lanes, entries, source, off_chip=off_chip)


def numbered_columns(p: Parameters) -> list[int]:
    return [at for at, column in enumerate(p.schema.columns) if column.has_vocabulary]


class Model:
    """What the stage must do with data sets, one after another."""

    def __init__(self, p: Parameters) -> None:
        self.p = p
        self.numbers: dict[int, dict[int, int]] = {c: {} for c in numbered_columns(p)}
        self.seen_again = self.unseen = self.overflowed = 0

    def number(self, column: int, value: int, mode: Mode) -> int | None:
        numbers = self.numbers[column]
        if value in numbers:
            self.seen_again += 1
        elif mode != Mode.APPLY and value < self.p.entries:
            numbers[value] = len(numbers)
        elif mode != Mode.APPLY:
            self.overflowed += 1
        self.unseen += value not in numbers
        return numbers.get(value)

    def pass_through(
        self, beats: Sequence[dict[str, Any]], mode: Mode, unseen_index: int
    ) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
        """Beats that come out, and of each beat that goes in its unseen and overflowed fields."""
        out, counts = [], []
        for beat in beats:
            words, unseen, before = list(beat["words"]), 0, (self.unseen, self.overflowed)
            for lane in range(self.p.lanes):
                column = self.p.column_at(beat["beat"], lane)
                if beat["keep"] >> lane & 1 and column in self.numbers:
                    number = self.number(column, words[lane], mode)
                    words[lane] = unseen_index if number is None else number
                    unseen |= (number is None) << lane
            counts.append((self.unseen - before[0], self.overflowed - before[1]))
            if mode != Mode.GEN or beat["last"]:
                out.append({**beat, "words": words, "unseen": unseen})
        return out, counts


def beats_of(p: Parameters, rows: Sequence[Row], rng: Random) -> list[dict[str, Any]]:
    """The beats of a data set; lanes without a column hold anything."""
    beats = []
    for row in rows:
        causes = rng.getrandbits(len(Cause))
        for number in range(p.beats):
            columns = [p.column_at(number, lane) for lane in range(p.lanes)]
            beats.append(
                {
                    "words": [
                        rng.choice([rng.randrange(p.entries), rng.getrandbits(32)])
                        if column is None
                        else row[column]
                        for column in columns
                    ],
                    "keep": sum((column is not None) << at for at, column in enumerate(columns)),
                    "unseen": 0,
                    "beat": number,
                    "causes": causes,
                    "row_end": int(number == p.beats - 1),
                    "last": 0,
                }
            )
    end = {"keep": 0, "unseen": 0, "beat": 0, "causes": 0, "row_end": 0, "last": 1}
    return [*beats, {**end, "words": [rng.randrange(p.entries) for _ in range(p.lanes)]}]


class Packer:
    """Beats as integers, and back."""

    def __init__(self, p: Parameters) -> None:
        layout = row_beat(p)
        self._fields = [(name, each.offset, each.width) for name, each in layout]
        self.lanes = p.lanes

    def pack(self, beat: dict[str, Any]) -> int:
        words = sum(word << 32 * lane for lane, word in enumerate(beat["words"]))
        given = {**beat, "words": words}
        assert all(given[name] >> width == 0 for name, _, width in self._fields)
        return sum(given[name] << offset for name, offset, _ in self._fields)

    def unpack(self, payload: int) -> dict[str, Any]:
        beat: dict[str, Any] = {
            name: payload >> offset & (1 << width) - 1 for name, offset, width in self._fields
        }
        words = beat["words"]
        return {**beat, "words": [words >> 32 * lane & WORD for lane in range(self.lanes)]}


@dataclass
class Timing:
    """How a neighbour behaves: in which share of cycles a stream waits, what a memory takes."""

    gaps: float = 0.0
    stalls: float = 0.0
    request_stalls: float = 0.0
    read: Callable[[Random], int] = lambda rng: 1
    write: Callable[[Random], int] = lambda rng: 1


FAST = Timing()
RANDOM = Timing(
    0.3, 0.3, 0.3, lambda rng: rng.choice([1, 2, 3, 9, 30]), lambda rng: rng.choice([1, 2, 5, 40])
)


@dataclass
class Requests:
    """What is on its way in a memory: until when at least, and what it gives."""

    latency: Callable[[Random], int]
    inside: deque[tuple[int, Any]] = field(default_factory=deque)

    def take(self, rng: Random, now: int, item: Any) -> None:
        self.inside.append((now + self.latency(rng), item))

    def first(self, now: int) -> Any:
        return self.inside[0][1] if self.inside and self.inside[0][0] <= now else None


def memory_ports(stage: OffChipVocabularies, lane: int) -> list[Any]:
    names = ("o_read", "i_read", "o_write", "i_written")
    return [getattr(stage, f"{name}_{lane}") for name in names]


class Inputs:
    """The inputs of a stage, which settle together: to settle is what takes the time."""

    def __init__(self, m: Module, stage: Any) -> None:
        signals = [stage.i.valid, stage.i.payload.as_value(), stage.o.ready]
        signals += [stage.mode, stage.unseen_index, stage.column]
        for lane in stage.lanes if isinstance(stage, OffChipVocabularies) else []:
            read, answer, write, written = memory_ports(stage, lane)
            signals += [read.ready, answer.valid, answer.payload.as_value()]
            signals += [write.ready, written.valid]
        self._widths = {id(signal): len(signal) for signal in signals}
        self._values = dict.fromkeys(self._widths, 0)
        self._packed = Signal(sum(self._widths.values()))
        m.d.comb += Cat(*signals).eq(self._packed)

    def set(self, signal: Any, value: int) -> None:
        assert value >> self._widths[id(signal)] == 0
        self._values[id(signal)] = value

    def settle(self, context: Any) -> None:
        packed = offset = 0
        for key, width in self._widths.items():
            packed |= int(self._values[key]) << offset
            offset += width
        context.set(self._packed, packed)


class Memory:
    """A lane's memory: answers in order, reads and writes apart."""

    def __init__(self, stage: OffChipVocabularies, lane: int, timing: Timing, rng: Random) -> None:
        self.ports = memory_ports(stage, lane)
        self.timing = timing
        self.rng = rng
        self.bits = stage.number_bits
        self.words: dict[int, int] = {}
        self.reads, self.writes = Requests(timing.read), Requests(timing.write)
        self.reads_taken = self.writes_taken = 0
        self.most_reads = self.most_writes = 0
        self.acknowledges = True
        self.offered: list[int | None] = [None, None]

    def forget(self, inputs: Inputs) -> None:
        """What is inside is lost with a reset, the words are not; some writes are still made."""
        for _, (address, data) in self.writes.inside:
            if self.rng.random() < 0.5:
                self.words[address] = data
        self.reads.inside.clear()
        self.writes.inside.clear()
        self.offered = [None, None]
        for port in self.ports[1::2]:
            inputs.set(port.valid, 0)

    def drive(self, inputs: Inputs, now: int) -> None:
        read, answer, write, written = self.ports
        number, acknowledged = self.reads.first(now), self.writes.first(now)
        for port in (read, write):
            inputs.set(port.ready, self.rng.random() >= self.timing.request_stalls)
        inputs.set(answer.valid, number is not None)
        garbage = self.rng.getrandbits(self.bits)
        inputs.set(answer.payload.as_value(), garbage if number is None else number)
        inputs.set(written.valid, self.acknowledges and acknowledged is not None)

    def sample(self, context: Any, now: int, written: set[int]) -> None:
        read, answer, write, acknowledged = self.ports
        for at, port in enumerate((read, write)):
            payload = context.get(port.payload.as_value()) if context.get(port.valid) else None
            assert self.offered[at] in (None, payload), "a request was withdrawn"
            taken = payload is not None and context.get(port.ready)
            self.offered[at] = None if taken else payload
            if not taken:
                continue
            if port is read:
                address = context.get(port.payload.address)
                # What nobody wrote is anything.
                number = self.words.get(address, self.rng.getrandbits(self.bits))
                self.reads.take(self.rng, now, number)
                self.reads_taken += 1
            else:
                address = context.get(port.payload.address)
                assert address not in written, "an address was written twice"
                written.add(address)
                self.writes.take(self.rng, now, (address, context.get(port.payload.data)))
                self.writes_taken += 1
        if context.get(answer.valid):
            assert context.get(answer.ready), "an answer was refused"
            self.reads.inside.popleft()
        # Last: a read taken in the cycle of the acknowledgement does not see the write.
        if context.get(acknowledged.valid):
            assert context.get(acknowledged.ready), "an acknowledgement was refused"
            _, (address, data) = self.writes.inside.popleft()
            self.words[address] = data
        self.most_reads = max(self.most_reads, len(self.reads.inside))
        self.most_writes = max(self.most_writes, len(self.writes.inside))


class Bench:
    """Drives a stage and compares all that comes out of it."""

    def __init__(
        self,
        context: Any,
        stage: Any,
        inputs: Inputs,
        reset: Signal,
        timing: Timing,
        rng: Random,
    ) -> None:
        self.context, self.stage, self.signals, self.reset = context, stage, inputs, reset
        self.p: Parameters = stage.parameters
        self.timing, self.rng = timing, rng
        self.packer = Packer(self.p)
        self.model = Model(self.p)
        lanes = stage.lanes if isinstance(stage, OffChipVocabularies) else []
        self.memories = [Memory(stage, lane, timing, rng) for lane in lanes]
        self.cycle = 0
        self.refused = self.stalled = self.busy_cycles = self.compared = 0
        self._forget()

    def _forget(self) -> None:
        self.to_send: deque[int] = deque()
        self.offers = False
        self.held: int | None = None
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.came: list[int] = []
        self.left: list[int] = []
        self.counts: list[tuple[int, int]] = []
        self.mode = Mode.FUSED
        self.written: set[int] = set()
        for memory in self.memories:
            memory.forget(self.signals)

    async def step(self) -> None:
        """One cycle."""
        signals, stage, rng = self.signals, self.stage, self.rng
        self.offers |= bool(self.to_send) and rng.random() >= self.timing.gaps
        payload = self.to_send[0] if self.offers else rng.getrandbits(row_beat(self.p).size)
        ready = rng.random() >= self.timing.stalls
        signals.set(stage.i.valid, self.offers)
        signals.set(stage.i.payload.as_value(), payload)
        signals.set(stage.o.ready, ready)
        for memory in self.memories:
            memory.drive(signals, self.cycle)
        signals.settle(self.context)
        self._sample(ready)
        await self.context.tick()
        self.cycle += 1

    def _sample(self, ready: bool) -> None:
        get, stage = self.context.get, self.stage
        busy = get(stage.busy)
        self.busy_cycles += busy
        if self.mode != Mode.GEN:
            assert busy or len(self.inputs) == len(self.outputs)
        assert busy or not any(memory.writes.inside for memory in self.memories)
        valid = get(stage.o.valid)
        output = get(stage.o.payload.as_value()) if valid else None
        assert self.held in (None, output), "a beat changed or vanished while it was stalled"
        counts = get(stage.unseen), get(stage.overflowed)
        leaves = valid and ready
        self.held = None if leaves else output
        self.stalled += valid and not ready
        if leaves:
            self.outputs.append(output)
            self.left.append(self.cycle)
        if leaves or self.mode == Mode.GEN:
            self.counts.append(counts)
        else:
            assert counts == (0, 0)
        for memory in self.memories:
            memory.sample(self.context, self.cycle, self.written)
        if self.offers:
            if get(stage.i.ready):
                assert not get(stage.clearing)
                self.inputs.append(self.to_send.popleft())
                self.came.append(self.cycle)
                self.offers = False
            else:
                self.refused += 1

    async def clear(self, after: int = 0) -> int:
        """Reset, ``after`` cycles more of what is going on before; cycles until it is empty."""
        for _ in range(after):
            await self.step()
        self.context.set(self.reset, 1)
        await self.step()
        self.context.set(self.reset, 0)
        self._forget()
        self.model = Model(self.p)
        return await self.empty()

    async def empty(self) -> int:
        """Wait until the stage is empty; how many cycles nothing was taken."""
        cycles = 0
        self.signals.set(self.stage.i.valid, 1)
        self.signals.set(self.stage.o.ready, 1)
        self.signals.settle(self.context)
        while self.context.get(self.stage.clearing):
            assert not self.context.get(self.stage.busy)
            assert not self.context.get(self.stage.i.ready)
            assert not self.context.get(self.stage.o.valid)
            for memory in self.memories:
                assert not any(self.context.get(port.valid) for port in memory.ports[::2])
            await self.context.tick()
            cycles += 1
            self.cycle += 1
            assert cycles <= self.p.entries + 1
        self.signals.set(self.stage.i.valid, 0)
        self.signals.settle(self.context)
        return cycles

    def start(self, rows: Sequence[Row], mode: Mode, unseen_index: int = 0) -> None:
        """Have a data set sent by the steps that follow."""
        assert not self.to_send
        self.mode = mode
        self.signals.set(self.stage.mode, mode)
        self.signals.set(self.stage.unseen_index, unseen_index)
        beats = beats_of(self.p, rows, self.rng)
        self.to_send.extend(map(self.packer.pack, beats))
        self.expected = self.model.pass_through(beats, mode, unseen_index)
        self.reads_before = self.reads_taken
        self.inputs, self.outputs, self.counts, self.came, self.left = [], [], [], [], []

    async def finish(self) -> None:
        """Let all out, and compare it."""
        expected, counts = self.expected
        limit = self.cycle + 200 * (len(self.to_send) + 10)
        while self.to_send or self.context.get(self.stage.busy) or len(self.left) < len(expected):
            await self.step()
            assert self.cycle < limit, f"stuck after {len(self.outputs)} beats"
        for _ in range(3):
            await self.step()
        got = [self.packer.unpack(payload) for payload in self.outputs]
        for number, (one, other) in enumerate(zip(got, expected, strict=False)):
            assert one == other, f"beat {number} of {len(expected)}"
        assert len(got) == len(expected)
        if self.mode == Mode.GEN:  # rows end inside, where only their counts can be seen
            self.counts = [each for each in self.counts if each != (0, 0)]
            counts = [each for each in counts if each != (0, 0)]
            assert self.reads_taken == self.reads_before
        assert self.counts == counts
        self.compared += len(got) + len(counts)
        for column in range(len(self.p.schema.columns)):
            self.signals.set(self.stage.column, column)
            self.signals.settle(self.context)
            size = len(self.model.numbers.get(column, ()))
            assert self.context.get(self.stage.size) == size, f"size of column {column}"
        self._compare_memory()

    def _compare_memory(self) -> None:
        """The memory holds the numbers of all values, at the addresses that the stage promises."""
        if self.memories:
            wanted = {
                rank * self.p.entries + value: number
                for rank, column in enumerate(numbered_columns(self.p))
                for value, number in self.model.numbers[column].items()
            }
            held: dict[int, int] = {}
            for memory in self.memories:
                held |= {at: word for at, word in memory.words.items() if at in self.written}
            assert held == wanted

    async def data_set(self, rows: Sequence[Row], mode: Mode, unseen_index: int = 0) -> int:
        """One whole data set; the cycles from the first beat in to the last one out."""
        self.start(rows, mode, unseen_index)
        await self.finish()
        return self.left[-1] - self.came[0] + 1

    @property
    def reads_taken(self) -> int:
        return sum(memory.reads_taken for memory in self.memories)

    @property
    def sustained(self) -> float:
        """Cycles a beat at the output, between the first and the last one."""
        return (self.left[-1] - self.left[0]) / (len(self.left) - 1)


def simulate(
    stage: Any, script: Callable[[Bench], Awaitable[None]], timing: Timing = FAST, seed: int = 1
) -> Bench:
    """Run a script on a stage, from its power-on; it must have run to its end."""
    reset = Signal()
    m = Module()
    m.submodules.stage = ResetInserter(reset)(stage)
    m.domains.placed = ClockDomain(reset_less=True)
    inputs = Inputs(m, stage)
    finished: list[Bench] = []

    async def bench(context: Any) -> None:
        bench = Bench(context, stage, inputs, reset, timing, Random(seed))
        await bench.empty()
        await script(bench)
        assert bench.compared > 0
        finished.append(bench)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_clock(1e-6, domain="placed", if_exists=True)
    simulator.add_testbench(bench)
    simulator.run()
    (only,) = finished
    return only


def rows_of(p: Parameters, count: int, values: Values, rng: Random) -> list[Row]:
    """Rows with these values in vocabulary columns, and anything elsewhere."""
    return [
        [
            values(row, column) & WORD if letter.has_vocabulary else rng.getrandbits(32)
            for column, letter in enumerate(p.schema.columns)
        ]
        for row in range(count)
    ]


def random_rows(p: Parameters, count: int, rng: Random, overflow: float = 0.1) -> list[Row]:
    """Few values often, all now and then, and some that no vocabulary has room for."""

    def value(row: int, column: int) -> int:
        low = rng.randrange(min(p.entries, rng.choice([1, 2, 3, p.entries])))
        if rng.random() < overflow:  # equal to a small one in its lowest bits, or close
            return low | rng.choice([p.entries, 1 << 31, rng.getrandbits(32) | p.entries])
        return low

    return rows_of(p, count, value, rng)


SHAPES = {
    "one-column": ("v", 1, 2),
    "two-a-beat": ("vv", 2, 16),
    "four-a-beat": ("vvdv", 4, 8),
    "six-a-row": ("dvvdvv", 1, 16),
    "last-beat-part": ("vdvvv", 2, 64),
    "four-lanes": ("vvvvdv", 4, 32),
    "several-words": ("vdv", 1, 128),
    "none": ("dd", 1, 4),
}
every_shape = pytest.mark.parametrize("shape", SHAPES)


def build(shape: str, off_chip: bool, **options: int) -> Any:
    p = parameters_of(*SHAPES[shape], off_chip)
    return OffChipVocabularies(p, **options) if off_chip else OnChipVocabularies(p)


# Data sets under bubbles and stalls.


@every_shape
@both_kinds
def test_modes(shape: str, off_chip: bool) -> None:
    """One data set after another in every mode, then all again after a reset."""

    async def script(bench: Bench) -> None:
        p, rng = bench.p, bench.rng
        for _ in range(2):
            for mode in (Mode.APPLY, Mode.GEN, Mode.APPLY, Mode.FUSED, Mode.APPLY):
                rows = random_rows(p, 6 + 18 // p.beats, rng)
                await bench.data_set(rows, mode, rng.getrandbits(32))
                await bench.data_set([], mode)
            assert bench.refused and bench.stalled and bench.busy_cycles
            if numbered_columns(p):
                assert bench.model.unseen > bench.model.overflowed > 0
                assert bench.model.seen_again
                assert sum(map(len, bench.model.numbers.values())) > 1
            await bench.clear()

    little_room = {"reads_in_flight": 3, "writes_in_flight": 1} if off_chip else {}
    bench = simulate(build(shape, off_chip, **little_room), script, RANDOM)
    if bench.memories:
        assert all(memory.reads_taken and memory.writes_taken for memory in bench.memories)


@both_kinds
@pytest.mark.parametrize("shape", ["one-column", "four-a-beat", "six-a-row"])
def test_gen_then_apply_is_fused(shape: str, off_chip: bool) -> None:
    async def script(bench: Bench) -> None:
        rows = random_rows(bench.p, 40, bench.rng)
        unseen_index = 0xDEADBEEF
        await bench.data_set(rows, Mode.FUSED, unseen_index)
        fused = [bench.packer.unpack(beat) for beat in bench.outputs]
        numbers = bench.model.numbers
        await bench.clear()
        await bench.data_set(rows, Mode.GEN, 0)
        assert len(bench.outputs) == 1
        await bench.data_set(rows, Mode.APPLY, unseen_index)
        applied = [bench.packer.unpack(beat) for beat in bench.outputs]
        assert bench.model.numbers == numbers
        assert len(fused) == len(applied) > 40
        for one, other in zip(fused[:-1], applied[:-1], strict=True):
            kept = [lane for lane in range(bench.p.lanes) if one["keep"] >> lane & 1]
            assert kept
            assert [one["words"][lane] for lane in kept] == [other["words"][lane] for lane in kept]
            assert one["unseen"] == other["unseen"]
        assert any(one["unseen"] for one in fused)

    simulate(build(shape, off_chip), script, RANDOM, seed=2)


@pytest.mark.parametrize("off_chip", [False, True], ids=["on-chip", "off-chip"])
def test_padding_of_binary_rows(off_chip: bool) -> None:
    """Lanes that hold no column keep whatever they hold, in the middle of a row as well."""
    p = parameters_of("vvvvv", 4, 8, off_chip, Source.BINARY)
    assert p.beats == 4 and p.column_at(1, 1) is None

    async def script(bench: Bench) -> None:
        await bench.data_set(random_rows(p, 20, bench.rng), Mode.FUSED, 5)

    simulate(build_vocabularies(p), script, RANDOM, seed=3)


# Values that are close in time: what a look-up must see of the write just before it.

PATTERNS: dict[str, Values] = {
    "same": lambda row, column: 3,
    "alternating": lambda row, column: row % 2,
    "three": lambda row, column: (row * row) % 3,
    "pairs": lambda row, column: row // 2,
    "ascending": lambda row, column: row,
    "descending": lambda row, column: ~row & 3,
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("columns, lanes", [("v", 1), ("vv", 2), ("vv", 1)])
def test_full_speed_on_chip(columns: str, lanes: int, pattern: str) -> None:
    """A beat in every cycle, in every mode, whatever the values."""
    p = parameters_of(columns, lanes, 32, False)

    async def script(bench: Bench) -> None:
        for mode in (Mode.FUSED, Mode.APPLY, Mode.FUSED):
            rows = rows_of(p, 32, PATTERNS[pattern], bench.rng)
            cycles = await bench.data_set(rows, mode)
            assert cycles == 32 * p.beats + 1 + ON_CHIP_LATENCY
        await bench.clear()
        assert await bench.data_set(rows, Mode.GEN) == 32 * p.beats + 1 + ON_CHIP_LATENCY
        assert not bench.refused

    simulate(OnChipVocabularies(p), script)


@pytest.mark.parametrize("latency", range(1, 9))
def test_every_distance_to_the_acknowledgement(latency: int) -> None:
    """The same few values in every cycle: one is looked up just when its write ends."""
    p = parameters_of("v", 1, 64, True)
    writes = Timing(write=lambda rng: latency, read=lambda rng: 1)

    async def script(bench: Bench) -> None:
        (memory,) = bench.memories
        for values in PATTERNS.values():
            rows = rows_of(p, 20, values, bench.rng)
            reads = memory.reads_taken
            cycles = await bench.data_set(rows, Mode.FUSED)
            assert cycles <= 21 + TO_READ + 1 + FROM_READ
            again = len(rows) - memory.writes_taken
            assert memory.reads_taken - reads <= again
            found_on_the_way = again - (memory.reads_taken - reads)
            # A value is kept until its write is acknowledged, and read from then on.
            if values is PATTERNS["same"]:
                assert found_on_the_way == latency + 1
            await bench.clear()
            memory.writes_taken = 0
        assert memory.reads_taken

    simulate(OffChipVocabularies(p), script, writes, seed=latency)


@pytest.mark.parametrize("seed", range(4))
def test_adversarial_memory(seed: int) -> None:
    """Latencies anew for each request; few values, of neighbouring bits, in consecutive beats."""
    p = parameters_of("vv", seed % 2 + 1, 128, True)
    timing = Timing(
        0.05, 0.05, 0.1, lambda rng: rng.randrange(1, 6), lambda rng: rng.randrange(1, 14)
    )

    async def script(bench: Bench) -> None:
        for _ in range(6):
            base = bench.rng.choice([0, 30, 62, 126])  # bits of one word, and across two
            rows = [
                [base + bench.rng.randrange(2 + row // 8) & 127 for _ in range(2)]
                for row in range(40)
            ]
            await bench.data_set(rows, Mode.FUSED)
            await bench.clear()

    bench = simulate(OffChipVocabularies(p, writes_in_flight=3), script, timing, seed)
    assert all(memory.most_writes > 1 and memory.reads_taken > 50 for memory in bench.memories)


# Speed with a memory outside.


@pytest.mark.parametrize(
    "columns, lanes, room, latency", [("v", 1, 64, 40), ("vv", 2, 64, 40), ("v", 1, 8, 3)]
)
def test_full_speed_off_chip(columns: str, lanes: int, room: int, latency: int) -> None:
    """A beat in every cycle, though many of them pass between a read and its answer."""
    p = parameters_of(columns, lanes, 64, True)
    timing = Timing(read=lambda rng: latency, write=lambda rng: latency)

    async def script(bench: Bench) -> None:
        rows = rows_of(p, 4, lambda row, column: row, bench.rng)
        await bench.data_set(rows, Mode.GEN)
        rows = rows_of(p, 150, lambda row, column: (row + column) % 4, bench.rng)
        for mode in (Mode.FUSED, Mode.APPLY):
            cycles = await bench.data_set(rows, mode)
            assert bench.sustained == 1
            assert cycles == 150 + 1 + TO_READ + latency + FROM_READ
        assert not bench.refused
        assert [memory.reads_taken for memory in bench.memories] == [2 * 150] * lanes
        assert all(memory.most_reads == latency for memory in bench.memories)

    simulate(OffChipVocabularies(p, reads_in_flight=room), script, timing)


def test_more_latency_than_reads_in_flight() -> None:
    """A read is in flight for the memory's latency and 5 cycles: one too many costs just one."""
    p = parameters_of("v", 1, 64, True)
    room = 8

    async def script(bench: Bench) -> None:
        await bench.data_set([[7]], Mode.GEN)
        await bench.data_set([[7]] * (20 * room), Mode.APPLY)
        assert bench.sustained == pytest.approx((room + 1) / room, rel=0.01)
        assert bench.refused

    timing = Timing(read=lambda rng: room - 5 + 1)
    simulate(OffChipVocabularies(p, reads_in_flight=room), script, timing)


@pytest.mark.parametrize("room, slots", [(16, 16), (48, 40), (1, 1)])
def test_rate_of_new_values(room: int, slots: int) -> None:
    """As many new values as there is room for, until the first is acknowledged."""
    p = parameters_of("v", 1, 256, True)
    latency = 40

    async def script(bench: Bench) -> None:
        count = 5 * room
        rows = rows_of(p, count, lambda row, column: row, bench.rng)
        cycles = await bench.data_set(rows, Mode.FUSED)
        # A place is taken again two cycles after the memory has had its write for 40.
        rounds = 4 if slots == room else 0
        assert cycles == count + 1 + OFF_CHIP_LATENCY + rounds * (latency + 2 - room)
        assert bench.memories[0].most_writes == slots

    timing = Timing(write=lambda rng: latency)
    simulate(OffChipVocabularies(p, writes_in_flight=room), script, timing)


def test_latency_off_chip() -> None:
    """Of beats that need no read."""
    p = parameters_of("v", 1, 64, True)

    async def script(bench: Bench) -> None:
        rows = rows_of(p, 10, lambda row, column: row, bench.rng)
        await bench.data_set(rows, Mode.FUSED)
        assert [left - came for came, left in zip(bench.came, bench.left, strict=True)] == [
            OFF_CHIP_LATENCY
        ] * 11

    simulate(OffChipVocabularies(p), script)


def test_memory_that_does_not_acknowledge() -> None:
    """New values wait, none is lost, and what is on its way is known."""
    p = parameters_of("v", 1, 16, True)

    async def script(bench: Bench) -> None:
        (memory,) = bench.memories
        memory.acknowledges = False
        bench.start([[value % 8] for value in range(40)], Mode.FUSED)
        for _ in range(60):
            await bench.step()
        assert len(bench.left) == 5  # and the sixth value has no room
        assert memory.writes_taken == 5 and memory.reads_taken == 0
        memory.acknowledges = True
        await bench.finish()
        assert memory.writes_taken == 8 and memory.reads_taken > 20

    simulate(OffChipVocabularies(p, writes_in_flight=5), script)


def test_memory_that_does_not_answer() -> None:
    """Beats wait for their numbers, as many as may, and leave in order."""
    p = parameters_of("v", 1, 16, True)
    answers = Timing(read=lambda rng: 100)

    async def script(bench: Bench) -> None:
        await bench.data_set([[3], [5]], Mode.GEN)
        bench.start([[3 + 2 * (row % 2)] for row in range(30)], Mode.APPLY)
        for _ in range(90):
            await bench.step()
        (memory,) = bench.memories
        assert memory.reads_taken == 8 and not bench.left
        await bench.finish()
        assert memory.reads_taken == 30 and memory.most_reads == 8

    simulate(OffChipVocabularies(p, reads_in_flight=8), script, answers)


# Clearing.


@every_shape
@both_kinds
def test_clear(shape: str, off_chip: bool) -> None:
    """A full vocabulary, then a reset: nothing of it is seen, down to the last entry."""
    stage = build(shape, off_chip)
    p = stage.parameters
    want = (-(-p.entries // 64) if off_chip else p.entries) if numbered_columns(p) else 0

    async def script(bench: Bench) -> None:
        every = rows_of(p, p.entries, lambda row, column: ~row & (p.entries - 1), bench.rng)
        await bench.data_set(every, Mode.FUSED)
        assert all(len(each) == p.entries for each in bench.model.numbers.values())
        before = bench.model.unseen
        await bench.data_set(every, Mode.APPLY)
        assert bench.model.unseen == before == 0
        assert await bench.clear() == want
        await bench.data_set(every, Mode.APPLY, 9)
        assert bench.model.unseen == p.entries * len(numbered_columns(p))
        await bench.data_set(every[::-1], Mode.FUSED)

    simulate(stage, script)


@both_kinds
@pytest.mark.parametrize("shape", ["two-a-beat", "six-a-row"])
def test_clear_in_the_middle(shape: str, off_chip: bool) -> None:
    """A reset at any moment, with beats, reads and writes inside, and one while clearing."""
    moments = [1, 2, 3, 5, 9, 17, 40]

    async def script(bench: Bench) -> None:
        p = bench.p
        for after in moments:
            bench.start(random_rows(p, 60, bench.rng, overflow=0), Mode.FUSED)
            await bench.clear(after)
            bench.context.set(bench.reset, 1)
            await bench.context.tick()
            bench.context.set(bench.reset, 0)
            await bench.empty()
            await bench.data_set(random_rows(p, 8, bench.rng), Mode.APPLY, 77)
            assert bench.model.unseen == 8 * len(numbered_columns(p))
            await bench.data_set(random_rows(p, 8, bench.rng), Mode.FUSED, 78)
            await bench.clear()

    simulate(build(shape, off_chip), script, RANDOM, seed=4)


# The writes on their way, alone.


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_pending_writes(depth: int) -> None:
    """Found from the cycle after it came to that of its acknowledgement, and in no other."""
    unit = PendingWrites(6, 5, depth)
    rng = Random(depth)
    seen = dict.fromkeys(
        ("full", "found", "found_as_it_ends", "just_ended", "same_cycle", "forgotten"), 0
    )

    async def bench(context: Any) -> None:
        kept: deque[tuple[int, int]] = deque()
        issued = 0
        ended = None
        offered: tuple[int, int] | None = None
        for _ in range(1500):
            if offered is None and rng.random() < 0.6:
                address = rng.choice([at for at in range(64) if at not in dict(kept)])
                offered = address, rng.randrange(32)
            if offered:
                context.set(unit.i.payload.address, offered[0])
                context.set(unit.i.payload.data, offered[1])
            context.set(unit.i.valid, offered is not None)
            takes = rng.random() < 0.7
            context.set(unit.o.ready, takes)
            goes = takes and issued < len(kept)
            ends = issued + goes > 0 and rng.random() < 0.5
            context.set(unit.acknowledged.valid, ends)
            candidates = [*kept, *([(ended, 0)] if ended is not None else [])]
            candidates += [offered] if offered else []
            address = rng.choice(candidates)[0] if candidates else rng.randrange(64)
            context.set(unit.address, address)
            forgets = rng.random() < 0.03
            context.set(unit.forget, forgets)
            if forgets:
                assert not context.get(Cat(unit.busy, unit.o.valid))
                seen["forgotten"] += bool(kept)
                await context.tick()
                kept.clear()
                issued, ended = 0, None
                continue
            assert context.get(unit.busy) == bool(kept)
            assert context.get(unit.i.ready) == (len(kept) < depth)
            assert context.get(unit.acknowledged.ready)
            assert context.get(unit.o.valid) == (issued < len(kept))
            if issued < len(kept):
                payload = context.get(unit.o.payload)
                assert (payload.address, payload.data) == kept[issued]
            found = context.get(unit.found)
            assert found == (address in dict(kept))
            if found:
                assert context.get(unit.data) == dict(kept)[address]
            seen["found"] += found
            seen["full"] += len(kept) == depth
            seen["found_as_it_ends"] += ends and found and kept[0][0] == address
            seen["just_ended"] += address == ended and not found
            seen["same_cycle"] += ends and issued == 0
            comes = offered is not None and len(kept) < depth
            await context.tick()
            issued += goes - ends
            ended = kept.popleft()[0] if ends else None
            if comes:
                assert offered is not None
                kept.append(offered)
                offered = None

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert all(count > 10 for count in seen.values()), seen


# What is built.


def memories_of(text: str) -> Iterator[tuple[int, int]]:
    """Width and words of each memory in RTLIL."""
    for width, words in re.findall(r"^  memory width (\d+) size (\d+) ", text, re.MULTILINE):
        yield int(width), int(words)


def test_export_holds_a_table_once() -> None:
    """However many columns there are, the memory is one module, and it is a memory."""
    text = export(OnChipVocabularies(parameters_of("dvvvvv", 2, 128, False)))
    assert list(memories_of(text)) == [(8, 128)]
    assert len(re.findall(r"^  cell \\number_table ", text, re.MULTILINE)) == 5
    text = export(OffChipVocabularies(parameters_of("dvvvvv", 2, 256, True), reads_in_flight=8))
    assert (64, 4) in memories_of(text)
    assert len(re.findall(r"^  cell \\occupancy ", text, re.MULTILINE)) == 5


def test_tables_have_no_reset() -> None:
    for stage in (
        OnChipVocabularies(parameters_of("vv", 1, 16, False)),
        OffChipVocabularies(parameters_of("vv", 1, 16, True)),
    ):
        text = export(stage)
        modules = re.findall(r"^module \\(number_table|occupancy)\n(.*?)^end\n", text, re.M | re.S)
        assert len(modules) == 1
        assert len(re.findall(r"\\rst\b", modules[0][1])) == 1  # its declaration
        assert len(re.findall(r"\\clk\b", modules[0][1])) > 1


def test_ports() -> None:
    """A lane has a memory if a column with a vocabulary passes it."""
    off_chip = {port.name: port for port in top_ports(export(built("dvdv", 2, 16, True)))}
    on_chip = {port.name for port in top_ports(export(built("dvdv", 2, 16, False)))}
    memory = {name for name in off_chip if re.match("[io]_[a-z]", name)}
    assert off_chip.keys() - on_chip == memory
    assert {name.partition("__")[0] for name in memory} == {
        *("o_read_1", "i_read_1"),
        *("o_write_1", "i_written_1"),
    }
    assert off_chip["o_read_1__payload"].width == 5
    assert off_chip["i_read_1__payload"].width == 4
    assert off_chip["o_write_1__payload"].width == 9


def built(columns: str, lanes: int, entries: int, off_chip: bool) -> VocabularyStage:
    return build_vocabularies(parameters_of(columns, lanes, entries, off_chip))


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("options", [{"writes_in_flight": 0}, {"reads_in_flight": 2}])
def test_no_room(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="in flight"):
        OffChipVocabularies(parameters_of("v", 1, 4, True), **options)
    gc.collect()  # while the warning of the component that nobody can use is ignored
