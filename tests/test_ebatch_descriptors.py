"""The front end of descriptors by itself, in C++: order, turns and throughput of its fetches."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out, Signature, connect, flipped
from numpy.typing import NDArray

from hdl.ebatch.descriptors import IN_FLIGHT, DescriptorFetch, descriptor
from hdl.ebatch.flags import token_beat
from hdl.ebatch.parameters import Parameters
from sim.packing import pack_fields, unpack_fields
from sim.stream_runner import StreamRun, StreamRunner, build_stream_runner

ENGINE = Parameters(hidden_size=8, tag_bits=12, token_depth=4)
#: Several words a token and one; lanes that are no power of two, as many as one; a queue of one.
FETCHERS = {
    "several": replace(ENGINE, lanes=3, input_size=12, descriptors=2),
    "single": replace(ENGINE, lanes=5, input_size=4, descriptors=1),
    "alone": replace(ENGINE, lanes=1, input_size=8, descriptors=4),
}
#: Cycles from an address to its word: as many as tokens of one word can hide.
LATENCY = IN_FLIGHT - 2


class Fetchers(Component):
    """Front ends, each with a memory whose words are their addresses, and tokens used at once."""

    def __init__(self) -> None:
        ports = {}
        for name, p in FETCHERS.items():
            ports[f"i_{name}"] = In(stream.Signature(descriptor(p)))
            ports[f"o_{name}"] = Out(stream.Signature(token_beat(p)))
        super().__init__(Signature({**ports, "accepts": In(1), "strays": Out(1)}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, p in FETCHERS.items():
            fetch = DescriptorFetch(p)
            m.submodules[name] = fetch
            m.submodules[f"{name}_words"] = words = SyncFIFO(width=32, depth=IN_FLIGHT * 4)
            o = getattr(self, f"o_{name}")
            connect(m, flipped(getattr(self, f"i_{name}")), fetch.i)
            connect(m, fetch.o, flipped(o))
            address, valid = fetch.o_fetch.payload, fetch.o_fetch.valid
            for cycle in range(LATENCY - 1):
                late = [Signal.like(each, name=f"late_{cycle}") for each in (address, valid)]
                m.d.sync += [late[0].eq(address), late[1].eq(valid)]
                address, valid = late
            place = Signal(range(p.input_size // p.width))
            moves = o.valid & o.ready
            is_end = place == p.input_size // p.width - 1
            m.d.comb += [
                fetch.accepts.eq(self.accepts),
                fetch.o_fetch.ready.eq(1),
                words.w_data.eq(address),
                words.w_en.eq(valid),
                fetch.i_fetched.payload.eq(words.r_data),
                fetch.i_fetched.valid.eq(words.r_rdy),
                words.r_en.eq(fetch.i_fetched.ready),
                fetch.used.eq((moves & is_end) << o.payload.lane),
            ]
            with m.If(moves):
                m.d.sync += place.eq(place + 1)
                with m.If(is_end):
                    m.d.sync += place.eq(0)
            with m.If(fetch.stray):
                m.d.sync += self.strays.eq(1)
        return m


@cache
def runner() -> StreamRunner:
    return build_stream_runner(Fetchers())


def rows(name: str, descriptors: list[dict[str, int]]) -> NDArray[np.uint8]:
    layout = descriptor(FETCHERS[name])
    size = -(-layout.size // 8)
    data = b"".join(pack_fields(layout, **each).to_bytes(size, "little") for each in descriptors)
    return np.frombuffer(data, np.uint8).reshape(-1, size)


def run(
    name: str, descriptors: list[dict[str, int]], pause: str = "flowing", stall: str = "flowing"
) -> tuple[StreamRun, list[dict[str, int]]]:
    """Everything that comes of these descriptors, compared with what they say, lane by lane."""
    p = FETCHERS[name]
    found = runner()
    found.reset()
    found.set(accepts=1)
    words = p.input_size // p.width
    total = words * sum(each["length"] for each in descriptors)
    run = found.run(
        {f"i_{name}": rows(name, descriptors)},
        {f"o_{name}": total},
        pause=pause,
        stall=stall,
        until_idle=True,
    )
    layout = token_beat(p)
    beats = [
        unpack_fields(layout, int.from_bytes(row.tobytes(), "little"))
        for row in run.received[f"o_{name}"]
    ]
    assert not found.get("strays")
    wanted: dict[int, list[tuple[int, int, int]]] = {lane: [] for lane in range(p.lanes)}
    for each in descriptors:
        wanted[each["lane"]] += [
            (each["base"] + at & 0xFFFFFFFF, each["tag"], int(at // words == each["length"] - 1))
            for at in range(each["length"] * words)
        ]
    for lane in range(p.lanes):
        got = [(each["data"], each["tag"], each["last"]) for each in beats if each["lane"] == lane]
        assert got == wanted[lane]
    for at in range(0, len(beats), words):
        assert len({each["lane"] for each in beats[at : at + words]}) == 1
    return run, beats


def random_descriptors(name: str, count: int, at_most: int) -> list[dict[str, int]]:
    rng, p = np.random.default_rng(count), FETCHERS[name]
    return [
        {
            "lane": int(rng.integers(p.lanes)),
            "tag": int(rng.integers(1 << p.tag_bits)),
            "length": 1 + int(rng.integers(at_most) * (rng.random() < 0.7)),
            "base": int(rng.integers(1 << 32)),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", FETCHERS)
@pytest.mark.parametrize("pause", ["flowing", "bursts"])
@pytest.mark.parametrize("stall", ["flowing", "random", "bursts"])
def test_tokens_of_each_lane_are_those_of_its_descriptors(
    name: str, pause: str, stall: str
) -> None:
    run(name, random_descriptors(name, 600, 12), pause, stall)


@pytest.mark.parametrize("name", FETCHERS)
def test_a_long_sequence_and_one_at_the_end_of_memory(name: str) -> None:
    """Lengths have 16 bits; addresses begin again at 0."""
    long = {"lane": 0, "tag": 5, "length": 65535, "base": 0}
    end = {"lane": 0, "tag": 6, "length": 4, "base": 0xFFFFFFFE}
    run(name, [end, long, end])


@pytest.mark.parametrize("name", FETCHERS)
def test_a_word_comes_in_every_cycle(name: str) -> None:
    """Also from one sequence to the next, and whether many lanes have tokens or one."""
    p = FETCHERS[name]
    for lanes in range(1, p.lanes + 1):
        descriptors = [
            {"lane": lane, "tag": lane, "length": 40, "base": 1000 * lane + 100 * turn}
            for turn in range(3)
            for lane in range(lanes)
        ]
        found, _ = run(name, descriptors)
        at = found.received_at[f"o_{name}"].astype(int)
        # A lane alone has room for fewer words than the memory is late.
        if lanes * p.token_depth >= IN_FLIGHT:
            assert np.diff(at).max() == 1


@pytest.mark.parametrize("name", FETCHERS)
def test_lanes_take_turns(name: str) -> None:
    """Each lane that has tokens and room gets as many as any other, one after the other."""
    p = FETCHERS[name]
    words = p.input_size // p.width
    descriptors = [
        {"lane": lane, "tag": lane, "length": 300, "base": 10_000 * lane} for lane in range(p.lanes)
    ]
    _, beats = run(name, descriptors)
    # The first lane begins while the descriptors of the others are still on their way.
    order = [each["lane"] for each in beats[::words]][20:-20]
    turns = [order[at : at + p.lanes] for at in range(len(order) - p.lanes)]
    assert len(turns) > 200
    assert all(sorted(each) == list(range(p.lanes)) for each in turns)


def test_no_sequence_begins_when_none_may() -> None:
    p = FETCHERS["several"]
    words = p.input_size // p.width
    found = runner()
    found.reset()
    found.set(accepts=1)
    descriptors = [{"lane": lane, "tag": 7, "length": 50, "base": 0} for lane in (0, 1, 0, 1)]
    stream = {"i_several": rows("several", descriptors)}
    begun = found.run(stream, {"o_several": None}, cycles=40)
    assert len(begun.taken_at["i_several"]) == len(descriptors)
    found.set(accepts=0)
    rest = found.run({}, {"o_several": None}, until_idle=True)
    count = len(begun.received["o_several"]) + len(rest.received["o_several"])
    assert count == 2 * 50 * words
    found.set(accepts=1)
    rest = found.run({}, {"o_several": None}, until_idle=True)
    assert len(rest.received["o_several"]) == 2 * 50 * words


def test_not_even_the_first_sequence_begins_when_none_may() -> None:
    found = runner()
    found.reset()
    found.set(accepts=0)
    only = rows("several", [{"lane": 1, "tag": 7, "length": 2, "base": 0}])
    run = found.run({"i_several": only}, {"o_several": None}, until_idle=True)
    assert len(run.taken_at["i_several"]) == 1
    assert len(run.received["o_several"]) == 0
