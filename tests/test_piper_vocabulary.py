"""The vocabulary stages of Piper, beat by beat, against dictionaries.

The memory outside is the worst that its contract allows: a read sees what was there when it was
taken, and a write is seen only by reads that begin after its acknowledgement.
"""

import gc
import re
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Cat, DomainRenamer
from amaranth.sim import Simulator
from piper_vocabulary_bench import (
    FROM_READ,
    OFF_CHIP_LATENCY,
    ON_CHIP_LATENCY,
    RANDOM,
    TO_READ,
    Bench,
    Timing,
    Values,
    numbered_columns,
    parameters_of,
    random_rows,
    rows_of,
    simulate,
)

from hdl.export import Unit, export, place
from hdl.piper import numbering, off_chip_vocabulary
from hdl.piper.beat import Mode
from hdl.piper.off_chip_vocabulary import OffChipVocabularies
from hdl.piper.on_chip_vocabulary import OnChipVocabularies
from hdl.piper.parameters import Source
from hdl.piper.pending_writes import PendingWrites
from hdl.piper.vocabulary import build_vocabularies
from hdl.piper.vocabulary_stage import VocabularyStage
from sim.ports import top_ports

both_kinds = pytest.mark.parametrize("off_chip", [False, True], ids=["on-chip", "off-chip"])


@pytest.fixture(autouse=True)
def _placed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units are beyond the reach of a reset inserted around the stage, as they are in an export."""

    def place_apart(platform: object, unit: type[Unit], *parameters: Any) -> Any:
        placed = place(platform, unit, *parameters)
        return placed if platform else DomainRenamer("placed")(placed)

    for module in (numbering, off_chip_vocabulary):
        monkeypatch.setattr(module, "place", place_apart)


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
