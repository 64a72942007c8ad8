"""Routing between lanes, exhaustively at a small width, and the alignment of bytes on a bus."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out
from amaranth.sim import Simulator

from hdl.piper.aligner import Aligner
from hdl.piper.route import counts_below, pack, rotate
from sim.evaluate import build_evaluator

WIDTH = 8
ITEM = 5


class Packer(Component):
    """``pack`` with the counts it needs."""

    items: In(WIDTH * ITEM)
    wanted: In(WIDTH)
    packed: Out(WIDTH * ITEM)
    gaps: Out(4)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        gaps = counts_below(m, ~self.wanted, "gap")
        m.d.comb += [
            self.packed.eq(pack(m, platform, self.items, gaps, self.wanted)),
            self.gaps.eq(gaps[-1]),
        ]
        return m


class Rotator(Component):
    """``rotate`` alone."""

    items: In(WIDTH * ITEM)
    distance: In(3)
    turned: Out(WIDTH * ITEM)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.turned.eq(rotate(m, platform, self.items, self.distance))
        return m


def _items(words: np.ndarray) -> np.ndarray:
    return words[:, None] >> np.arange(0, WIDTH * ITEM, ITEM, dtype=np.uint64) & 31


def test_pack_moves_every_choice_of_items_to_the_front() -> None:
    """All 256 choices, each with several items."""
    rng = np.random.default_rng(1)
    wanted = np.tile(np.arange(1 << WIDTH, dtype=np.uint64), 20)
    items = rng.integers(0, 1 << WIDTH * ITEM, len(wanted), dtype=np.uint64)
    found = build_evaluator(Packer())(items=items, wanted=wanted)
    compared = 0
    for before, after, choice, gaps in zip(
        _items(items), _items(found["packed"]), wanted.tolist(), found["gaps"], strict=True
    ):
        expected = [item for lane, item in enumerate(before) if choice >> lane & 1]
        assert after[: len(expected)].tolist() == expected
        assert gaps == WIDTH - len(expected)
        compared += len(expected)
    assert compared == 20 * (1 << WIDTH) * WIDTH // 2


def test_rotate_turns_by_every_distance() -> None:
    rng = np.random.default_rng(1)
    items = rng.integers(0, 1 << WIDTH * ITEM, 100, dtype=np.uint64)
    for distance in range(WIDTH):
        turned = build_evaluator(Rotator())(items=items, distance=distance)["turned"]
        assert (_items(turned) == np.roll(_items(items), distance, axis=1)).all()


def _beats(rng: random.Random, data: bytes, width: int) -> list[dict[str, object]]:
    """A data set on the bus: full beats, empty ones, and ones with holes."""
    beats: list[dict[str, object]] = []
    at = 0
    while at < len(data):
        keep = rng.choice([(1 << width) - 1, rng.getrandbits(width), 0])
        lanes = [rng.randrange(256) for _ in range(width)]
        kept = 0
        for lane in range(width):
            if keep >> lane & 1 and at < len(data):
                lanes[lane] = data[at]
                kept |= 1 << lane
                at += 1
        beats.append({"data": lanes, "keep": kept, "last": 0})
    if not beats or rng.random() < 0.3:
        beats.append({"data": [7] * width, "keep": 0, "last": 0})
    beats[-1]["last"] = 1
    return beats


def _align(
    width: int, beats: Sequence[dict[str, object]], sets: int, seed: int, pause: float
) -> tuple[list[bytes], int]:
    """Data sets as they come out, and the cycles it takes."""
    dut, rng = Aligner(width), random.Random(seed)
    found: list[bytes] = []
    cycles = 0

    async def offer(ctx: object) -> None:
        for beat in beats:
            while rng.random() < pause:
                await ctx.tick()
            ctx.set(dut.i.payload, beat)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def take(ctx: object) -> None:
        nonlocal cycles
        data = b""
        while len(found) < sets:
            ctx.set(dut.o.ready, int(rng.random() >= pause))
            _, _, valid, ready, beat = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload
            )
            cycles += 1
            if valid and ready:
                assert (beat.count < width) == beat.last
                data += bytes(beat.data[lane] for lane in range(beat.count))
                if beat.last:
                    found.append(data)
                    data = b""

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(offer)
    simulator.add_testbench(take)
    simulator.run_until(1e-6 * (100 + 20 * len(beats)))
    return found, cycles


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16])
def test_aligner_keeps_all_bytes(width: int) -> None:
    """Any bytes of any beat, pauses, stalls, data sets of all lengths around the width."""
    rng = random.Random(width)
    lengths = [0, 1, width - 1, width, width + 1, 5 * width, *(rng.randrange(90) for _ in range(9))]
    sets = [rng.randbytes(length) for length in lengths]
    beats = [beat for data in sets for beat in _beats(rng, data, width)]
    found, _ = _align(width, beats, len(sets), width, 0.35)
    assert found == sets
    assert sum(map(len, found)) > 100


def test_aligner_takes_a_beat_a_cycle() -> None:
    """Beats that are never full at the same bytes; one cycle more at the end of the data set."""
    data = bytes(range(200))
    beats = [
        {"data": list(data[at : at + 8]), "keep": 0xFF, "last": int(at == 192)}
        for at in range(0, 200, 8)
    ]
    beats[0] |= {"data": [0] * 5 + list(data[:3]), "keep": 0xE0}
    found, cycles = _align(8, beats, 1, 1, 0.0)
    assert found == [data[:3] + data[8:]]
    assert cycles == len(beats) + 3
