"""The driver of streams: honest ends, patterns as stated, and every kind of bad circuit caught."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hdl.export import export
from hdl.fp16.skid import Skid
from sim import bench
from sim.stream_runner import PATTERNS, StreamError, StreamRunner, build_stream_runner

WIDTHS = (1, 8, 33, 64, 65, 557)
LATENCY = 1
PERIOD = 5
HANG_AFTER = 10


class Fault(enum.Enum):
    """What the buffers do wrong."""

    NONE = 0
    DROP = 1
    REPEAT = 2
    CHANGE = 3
    FALL = 4
    HANG = 5


class Buffers(wiring.Component):
    """FIFOs of two places for payloads of all widths, and what shows how they are driven.

    Streams i_W and o_W for each width W. ``heard`` and ``echo`` are always ready, so they have no
    ready port (Amaranth would make it a constant, which the top cannot have); echo inverts.
    violations counts what breaks the rules on i_33. idle is what i_33 held when it last offered
    nothing. total adds step up in every cycle; doubled is twice the step, at once.
    """

    def __init__(self) -> None:
        ports = {}
        for width in WIDTHS:
            ports[f"i_{width}"] = In(stream.Signature(width))
            ports[f"o_{width}"] = Out(stream.Signature(width))
        ports |= {"heard__payload": In(13), "heard__valid": In(1)}
        ports |= {"echo__payload": Out(13), "echo__valid": Out(1)}
        ports |= {"fault": In(Fault), "violations": Out(16), "idle": Out(33)}
        super().__init__({**ports, "step": In(65), "total": Out(70), "doubled": Out(66)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for width in WIDTHS:
            self.buffer(m, width, getattr(self, f"i_{width}"), getattr(self, f"o_{width}"))
        self.watch(m, self.i_33)
        m.d.comb += [
            self.echo__valid.eq(self.heard__valid),
            self.echo__payload.eq(~self.heard__payload),
            self.doubled.eq(self.step << 1),
        ]
        m.d.sync += self.total.eq(self.total + self.step)
        return m

    def buffer(self, m: Module, width: int, i: stream.Interface, o: stream.Interface) -> None:
        m.submodules[f"fifo_{width}"] = fifo = SyncFIFO(width=width, depth=2)
        place, taken = Signal(range(PERIOD)), Signal(range(HANG_AFTER + 1))
        repeated, waited = Signal(), Signal()
        last = place == PERIOD - 1
        with m.If(i.valid & i.ready):
            with m.If(last):
                m.d.sync += place.eq(0)
            with m.Else():
                m.d.sync += place.eq(place + 1)
            m.d.sync += taken.eq(taken + (taken != HANG_AFTER))
        m.d.sync += [
            waited.eq(o.valid & ~o.ready),
            repeated.eq(o.valid & o.ready & ~repeated),
        ]
        m.d.comb += [
            i.ready.eq(fifo.w_rdy & ((self.fault != Fault.HANG) | (taken != HANG_AFTER))),
            fifo.w_en.eq(i.valid & i.ready & ((self.fault != Fault.DROP) | ~last)),
            fifo.w_data.eq(i.payload),
            o.valid.eq(fifo.r_rdy & ((self.fault != Fault.FALL) | ~waited)),
            o.payload.eq(fifo.r_data ^ ((self.fault == Fault.CHANGE) & waited)),
            fifo.r_en.eq(o.valid & o.ready & ((self.fault != Fault.REPEAT) | repeated)),
        ]

    def watch(self, m: Module, i: stream.Interface) -> None:
        waiting, offered = Signal(), Signal(33)
        m.d.sync += [waiting.eq(i.valid & ~i.ready), offered.eq(i.payload)]
        with m.If(waiting & (~i.valid | (offered != i.payload))):
            m.d.sync += self.violations.eq(self.violations + 1)
        with m.If(~i.valid):
            m.d.sync += self.idle.eq(i.payload)


@pytest.fixture(scope="module")
def rtlil() -> str:
    return export(Buffers())


@pytest.fixture
def runner(rtlil: str) -> StreamRunner:
    fresh = build_stream_runner(rtlil)
    fresh.reset()
    return fresh


def beats(width: int, count: int, seed: int = 1) -> NDArray[np.uint8]:
    size = (width + 7) // 8
    rows = np.random.default_rng([seed, width]).integers(0, 256, (count, size), dtype=np.uint8)
    rows[:, -1] &= 0xFF >> (8 * size - width)
    return rows


def pass_through(runner: StreamRunner, width: int, count: int, **options: object):
    given = beats(width, count)
    found = runner.run({f"i_{width}": given}, {f"o_{width}": count}, **options)
    assert (found.received[f"o_{width}"] == given).all()
    return found.taken_at[f"i_{width}"], found.received_at[f"o_{width}"], found.cycles


def test_patterns_are_those_of_the_testbenches() -> None:
    assert PATTERNS == bench.PATTERNS


@pytest.mark.parametrize("stall", PATTERNS)
@pytest.mark.parametrize("pause", PATTERNS)
def test_all_widths_at_once(runner: StreamRunner, pause: str, stall: str) -> None:
    count = 3000
    given = {f"i_{width}": beats(width, count) for width in WIDTHS}
    sinks = {f"o_{width}": count for width in WIDTHS}
    found = runner.run(given, sinks, pause=pause, stall=stall, until_idle=True)
    for width in WIDTHS:
        payloads, at = found.received[f"o_{width}"], found.received_at[f"o_{width}"]
        assert payloads.dtype == np.uint8 and (payloads == given[f"i_{width}"]).all()
        taken = found.taken_at[f"i_{width}"]
        assert at.dtype == taken.dtype == np.uint64
        assert (np.diff(at.astype(int)) >= 1).all() and (np.diff(taken.astype(int)) >= 1).all()
        assert (at >= taken + LATENCY).all()
        assert (taken[2:] >= at[:-2]).all()  # two places
    assert runner.get("violations") == 0
    assert found.cycles == max(int(at[-1]) for at in found.received_at.values()) + 1 + 64


@pytest.mark.parametrize("width", WIDTHS)
def test_throughput_is_exact(runner: StreamRunner, width: int) -> None:
    taken, received, cycles = pass_through(runner, width, 1000)
    assert cycles == 1000 + LATENCY
    assert (taken == np.arange(1000)).all()
    assert (received == taken + LATENCY).all()


def test_a_stream_of_latency_0() -> None:
    runner = build_stream_runner(Skid(StructLayout({"low": 30, "high": 35})))
    given = beats(65, 1000)
    found = runner.run({"i": given}, {"o": 1000})
    assert found.cycles == 1000
    assert (found.received["o"] == given).all()
    found = runner.run({"i": given}, {"o": 1000}, pause="random", stall="bursts")
    assert (found.received["o"] == given).all()
    assert runner.get("busy") == 0


def test_streams_that_are_always_ready(runner: StreamRunner) -> None:
    given = beats(13, 500)
    found = runner.run({"heard": given}, {"echo": None}, pause="random", idle=10)
    assert (found.received["echo"] == given ^ np.array([0xFF, 0x1F], np.uint8)).all()
    assert (found.received_at["echo"] == found.taken_at["heard"]).all()
    assert found.cycles == found.taken_at["heard"][-1] + 1 + 10


def test_a_source_that_pauses_shows_garbage(runner: StreamRunner) -> None:
    given = beats(33, 20)
    runner.run({"i_33": given}, {"o_33": 20}, pause="random")
    last = int.from_bytes(given[-1], "little")
    assert runner.get("i_33__valid") == 0
    assert runner.get("i_33__payload") == last ^ (1 << 33) - 1
    runner.tick()
    assert runner.get("idle") == last ^ (1 << 33) - 1
    runner.run({"i_33": given[:0]}, {"o_33": 0}, until_idle=True)
    assert runner.get("idle") == (1 << 33) - 1


def active_share(cycles: NDArray[np.uint64]) -> float:
    return len(cycles) / (int(cycles[-1]) + 1)


def stretches(cycles: NDArray[np.uint64]) -> tuple[float, float]:
    """Mean lengths of stretches of transfers, and of those without."""
    gaps = np.diff(cycles.astype(int))
    between = gaps[gaps > 1] - 1
    return len(cycles) / (len(between) + 1), float(between.mean())


@pytest.mark.parametrize("end", ["pause", "stall"])
def test_random_is_every_other_cycle(runner: StreamRunner, end: str) -> None:
    taken, received, _ = pass_through(runner, 8, 40_000, **{end: "random"})
    for cycles in (taken, received):
        assert active_share(cycles) == pytest.approx(0.5, abs=0.01)
    active, inactive = stretches(taken if end == "pause" else received)
    assert active == pytest.approx(2, abs=0.05)
    assert inactive == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("end", ["pause", "stall"])
def test_bursts_are_ten_cycles_long(runner: StreamRunner, end: str) -> None:
    taken, received, _ = pass_through(runner, 8, 200_000, **{end: "bursts"})
    for cycles in (taken, received):
        assert active_share(cycles) == pytest.approx(0.5, abs=0.02)
    active, inactive = stretches(taken if end == "pause" else received)
    assert active == pytest.approx(10, abs=0.3)
    assert inactive == pytest.approx(10, abs=0.3)


def test_ends_are_independent(runner: StreamRunner) -> None:
    """Ends with the same pattern agree in half of all cycles, not in all of them."""
    _, received, _ = pass_through(runner, 8, 40_000, pause="random", stall="random")
    # In step, two ends at random would pass half of all cycles; a FIFO of two places between
    # independent ones is often full or empty.
    assert 0.35 < active_share(received) < 0.45
    given = {f"i_{width}": beats(width, 10_000) for width in (8, 33)}
    found = runner.run(given, {"o_8": 10_000, "o_33": 10_000}, pause="random")
    both = np.intersect1d(found.taken_at["i_8"], found.taken_at["i_33"])
    assert len(both) / 10_000 == pytest.approx(0.5, abs=0.03)


def test_a_seed_repeats_a_run(rtlil: str) -> None:
    def times(seed: int, widths: tuple[int, ...] = (8, 64)) -> list[list[int]]:
        runner = build_stream_runner(rtlil)
        runner.reset()
        found = runner.run(
            {f"i_{width}": beats(width, 300) for width in widths},
            {f"o_{width}": 300 for width in widths},
            pause="random",
            stall="bursts",
            seed=seed,
        )
        return [
            cycles[name].tolist()
            for cycles in (found.taken_at, found.received_at)
            for name in sorted(cycles)
        ]

    assert times(1) == times(1) == times(1, (64, 8))
    assert all(one != other for one, other in zip(times(1), times(2), strict=True))
    # What one stream does is not changed by the other one's being there.
    alone, together = times(1, (8,)), times(1)
    assert alone == [together[1], together[3]]


def test_patterns_by_name(runner: StreamRunner) -> None:
    given = {f"i_{width}": beats(width, 1000) for width in (8, 33)}
    found = runner.run(given, {"o_8": 1000, "o_33": 1000}, pause={"i_33": "random"})
    assert (found.taken_at["i_8"] == np.arange(1000)).all()
    assert active_share(found.taken_at["i_33"]) == pytest.approx(0.5, abs=0.06)
    found = runner.run(given, {"o_8": 1000, "o_33": 1000}, stall={"o_8": "bursts"})
    assert (found.received_at["o_33"] == np.arange(1000) + LATENCY).all()
    assert found.received_at["o_8"][-1] > 1500


def test_a_dropped_beat_is_caught(runner: StreamRunner) -> None:
    runner.set(fault=Fault.DROP.value)
    given = beats(65, 100)
    with pytest.raises(
        StreamError,
        match=r"^hangs: not finished after 500 cycles; i_65 gave 100 of 100, "
        r"o_65 received 80 of 100$",
    ):
        runner.run({"i_65": given}, {"o_65": 100}, limit=500)
    runner.reset()
    found = runner.run({"i_65": given}, {"o_65": None})
    kept = np.arange(100) % PERIOD != PERIOD - 1
    assert (found.received["o_65"] == given[kept]).all()


def test_a_repeated_payload_is_caught(runner: StreamRunner) -> None:
    runner.set(fault=Fault.REPEAT.value)
    given = beats(8, 10)
    with pytest.raises(
        StreamError, match=r"^o_8: payload in cycle 11 after all 10 that were expected$"
    ):
        runner.run({"i_8": given}, {"o_8": 10}, until_idle=True)
    runner.reset()
    found = runner.run({"i_8": given}, {"o_8": None})
    assert (found.received["o_8"] == np.repeat(given, 2, axis=0)).all()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("fault", "message"),
    [(Fault.CHANGE, "payload changed while waiting,"), (Fault.FALL, "valid fell before ready in")],
)
def test_an_unsteady_stream_is_caught(
    runner: StreamRunner, width: int, fault: Fault, message: str
) -> None:
    runner.set(fault=fault.value)
    given = {f"i_{width}": beats(width, 100), "heard": beats(13, 100)}
    sinks = {"echo": 100, f"o_{width}": 100}
    calm = runner.run(given, sinks)  # it shows only when something waits
    assert (calm.received[f"o_{width}"] == given[f"i_{width}"]).all()
    with pytest.raises(StreamError, match=rf"^o_{width}: {message} cycle \d+$") as caught:
        runner.run(given, sinks, stall="random", seed=3)
    runner.reset()
    with pytest.raises(StreamError) as again:
        runner.run(given, sinks, stall="random", seed=3)
    assert str(again.value) == str(caught.value)


def test_the_cycle_of_a_fault_is_the_right_one(runner: StreamRunner) -> None:
    """The payload changes in the cycle after the first one that it waits in."""
    runner.set(fault=Fault.CHANGE.value)
    for seed in range(1, 20):
        runner.reset()
        with pytest.raises(StreamError) as caught:
            runner.run({"i_8": beats(8, 100)}, {"o_8": 100}, stall="random", seed=seed)
        wrong = int(str(caught.value).rpartition(" ")[2])
        runner.set(fault=0)
        runner.reset()
        found = runner.run({"i_8": beats(8, 100)}, {"o_8": 100}, stall="random", seed=seed)
        runner.set(fault=Fault.CHANGE.value)
        times = found.received_at["o_8"].astype(int)
        # From the first payload on there is always one, so the first cycle without a transfer
        # is the first in which one waits.
        missing = next(cycle for cycle in range(LATENCY, 100) if cycle not in times)
        assert wrong == missing + 1


def test_a_circuit_that_hangs_is_caught(runner: StreamRunner) -> None:
    runner.set(fault=Fault.HANG.value)
    with pytest.raises(
        StreamError,
        match=r"^hangs: not finished after 300 cycles; i_8 gave 10 of 20, o_8 received 10$",
    ):
        runner.run({"i_8": beats(8, 20)}, {"o_8": None}, limit=300)
    with pytest.raises(StreamError, match="hangs: not finished after 0 cycles"):
        runner.run({"i_8": beats(8, 20)}, {"o_8": None}, limit=0)


def test_a_sink_that_nobody_reads_stalls(runner: StreamRunner) -> None:
    with pytest.raises(StreamError, match=r"hangs: .*; i_8 gave 2 of 20$"):
        runner.run({"i_8": beats(8, 20)}, {}, limit=300)
    # Nothing is lost: what waits comes out when it is wanted.
    assert (runner.run({}, {"o_8": 2}).received["o_8"] == beats(8, 20)[:2]).all()


def test_streams_stand_still_between_runs(runner: StreamRunner) -> None:
    given = beats(8, 2)
    runner.run({"i_8": given}, {})
    runner.tick(5)  # nothing is offered again
    first = runner.run({}, {"o_8": 1}).received["o_8"]
    runner.tick(5)  # nothing is taken
    second = runner.run({}, {"o_8": None}).received["o_8"]
    assert (np.concatenate([first, second]) == given).all()


def test_a_run_of_so_many_cycles_goes_on_in_the_next_one(runner: StreamRunner) -> None:
    given, received, taken = beats(8, 40), [], 0
    for cycles in (1, 7, 0, 30, 100):
        run = runner.run(
            {"i_8": given[taken:]}, {"o_8": None}, stall="random", seed=cycles, cycles=cycles
        )
        assert run.cycles == cycles
        taken += len(run.taken_at["i_8"])
        received.append(run.received["o_8"])
    assert taken == 40
    assert (np.concatenate(received) == given).all()
    with pytest.raises(ValueError, match="limit is -1; allowed are 0 and more"):
        runner.run({}, {}, cycles=-1)


def test_nothing_to_do_takes_no_time(runner: StreamRunner) -> None:
    assert runner.run({}, {}).cycles == 0
    assert runner.run({"i_8": beats(8, 0)}, {"o_8": 0}).cycles == 0
    idle = runner.run({"i_8": beats(8, 0)}, {"o_8": None}, idle=7, pause="random")
    assert idle.cycles == 7
    assert idle.received["o_8"].shape == (0, 1)


def test_plain_ports(runner: StreamRunner) -> None:
    step = (1 << 65) - 3
    runner.set(step=step)
    assert runner.get("doubled") == 2 * step
    runner.tick(31)
    assert runner.get("total") == 31 * step
    runner.run({"i_8": beats(8, 10)}, {"o_8": 10})
    assert runner.get("total") == (31 + 11) * step & (1 << 70) - 1
    runner.set(step=np.int64(5), fault=0)
    assert runner.get("step") == 5
    runner.reset(1)
    assert runner.get("total") == 0
    runner.tick()
    assert runner.get("total") == 5
    assert runner.widths["i_557"] == runner.widths["o_557"] == 557
    assert sorted(runner.widths) == sorted(
        ["echo", "heard", *(f"{end}_{width}" for end in "io" for width in WIDTHS)]
    )


def test_instances_are_apart(rtlil: str) -> None:
    one, other = build_stream_runner(rtlil), build_stream_runner(rtlil)
    one.set(step=1)
    one.tick(10)
    other.tick(10)
    assert (one.get("total"), other.get("total")) == (10, 0)


def test_what_is_no_port_is_refused(runner: StreamRunner) -> None:
    plain = "is no plain input port; there are: fault, step$"
    for name in ("nothing", "clk", "rst", "total", "i_8__payload", "o_8__ready"):
        with pytest.raises(ValueError, match=f"^{name} {plain}"):
            runner.set(**{name: 0})
    with pytest.raises(ValueError, match=r"^clk is no port; there are: fault, .*, violations$"):
        runner.get("clk")
    for wrong in (-1, 1 << 65):
        with pytest.raises(ValueError, match=rf"^step is {wrong}, which does not fit its 65 bits$"):
            runner.set(fault=1, step=wrong)
    with pytest.raises(TypeError):
        runner.set(step=1.0)
    assert runner.get("fault") == 0  # nothing was set
    with pytest.raises(ValueError, match="-1 cycles"):
        runner.tick(-1)


def test_what_is_no_stream_is_refused(runner: StreamRunner) -> None:
    rows = beats(8, 1)
    with pytest.raises(ValueError, match=r"^o_8 is no input stream; there are: heard, i_1, i_33"):
        runner.run({"o_8": rows}, {})
    with pytest.raises(ValueError, match=r"^i_8 is no output stream; there are: echo, o_1, o_33"):
        runner.run({}, {"i_8": 1})
    with pytest.raises(ValueError, match=r"^pause: the run has no stream o_8$"):
        runner.run({"i_8": rows}, {"o_8": 1}, pause={"o_8": "random"})
    for what in ("pause", "stall"):
        message = f"^{what} is 'often'; allowed are flowing, random, bursts$"
        with pytest.raises(ValueError, match=message):
            runner.run({"i_8": rows}, {"o_8": 1}, **{what: "often"})
    with pytest.raises(ValueError, match=r"^o_8: -1 payloads cannot be received$"):
        runner.run({"i_8": rows}, {"o_8": -1})
    for name in ("limit", "idle"):
        with pytest.raises(ValueError, match=rf"^{name} is -1; allowed are 0 and more$"):
            runner.run({"i_8": rows}, {"o_8": 1}, **{name: -1})


def test_beats_that_do_not_fit_are_refused(runner: StreamRunner) -> None:
    for wrong in (beats(33, 4).astype(np.int64), beats(33, 4)[0], beats(64, 4)):
        with pytest.raises(
            ValueError, match=r"^i_33: beats are .* not uint8 of shape \(beats, 5\)$"
        ):
            runner.run({"i_33": wrong}, {})
    wrong = beats(33, 4)
    wrong[2, -1] |= 2
    with pytest.raises(ValueError, match=r"^i_33: beat 2 does not fit its 33 bits$"):
        runner.run({"i_33": wrong}, {})
    # Rows need not be contiguous.
    given = beats(64, 40)
    found = runner.run({"i_64": given[::2]}, {"o_64": 20})
    assert (found.received["o_64"] == given[::2]).all()
