"""The register slice: an honest stream whose ready is a register."""

from itertools import product

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

from hdl.export import export
from hdl.pipeline import RegisterSlice
from sim.stream_runner import PATTERNS, StreamRunner, build_stream_runner


class Slice(Component):
    """A register slice between two streams."""

    i: In(stream.Signature(16))
    o: Out(stream.Signature(16))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rank = RegisterSlice(m, self.i.payload, self.i.valid, self.o.ready, "rank")
        m.d.comb += [
            self.i.ready.eq(rank.ready),
            self.o.payload.eq(rank.payload),
            self.o.valid.eq(rank.valid),
        ]
        return m


@pytest.fixture(scope="module")
def runner() -> StreamRunner:
    return build_stream_runner(export(Slice()))


@pytest.mark.parametrize(("pause", "stall"), list(product(PATTERNS, PATTERNS)))
def test_everything_comes_out_in_order(runner: StreamRunner, pause: str, stall: str) -> None:
    beats = np.random.default_rng(1).integers(0, 256, (2000, 2), np.uint8)
    runner.reset()
    run = runner.run({"i": beats}, {"o": len(beats)}, pause=pause, stall=stall)
    assert np.array_equal(run.received["o"], beats)


def test_a_beat_a_cycle_one_cycle_later(runner: StreamRunner) -> None:
    beats = np.random.default_rng(2).integers(0, 256, (500, 2), np.uint8)
    runner.reset()
    run = runner.run({"i": beats}, {"o": len(beats)})
    assert run.taken_at["i"].tolist() == list(range(500))
    assert run.received_at["o"].tolist() == list(range(1, 501))


def test_it_holds_two_and_has_room_again_a_cycle_later(runner: StreamRunner) -> None:
    runner.reset()
    beats = np.arange(8, dtype=np.uint8).reshape(4, 2)
    assert len(runner.run({"i": beats}, {}, cycles=20).taken_at["i"]) == 2
    # It says so in the cycle in which the sink takes one, too: room is there one cycle later.
    run = runner.run({"i": beats[2:]}, {"o": 4})
    assert run.received_at["o"][0] == 0
    assert run.taken_at["i"][0] == 1
    assert np.array_equal(run.received["o"], beats)
