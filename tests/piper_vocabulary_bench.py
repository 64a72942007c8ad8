"""A bench for Piper's vocabulary stages: rows in, a memory outside, every beat compared."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from amaranth.hdl import Cat, ClockDomain, Module, ResetInserter, Signal
from amaranth.sim import Simulator

from hdl.piper.beat import Cause, Mode, row_beat
from hdl.piper.off_chip_vocabulary import OffChipVocabularies
from hdl.piper.parameters import Parameters, Source
from hdl.piper.schema import Base, Column, Schema, Vocabulary

Row = list[int]
Values = Callable[[int, int], int]
"""Of a row's number and a column's: the value there."""
WORD = (1 << 32) - 1
ON_CHIP_LATENCY = 3
OFF_CHIP_LATENCY = 5
#: From when a beat is taken to when its read is offered, and from its answer to when it leaves.
TO_READ, FROM_READ = 4, 3


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
