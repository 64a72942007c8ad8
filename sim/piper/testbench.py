"""Testbench of the whole pipeline: every word of every row, its flags, counters, and cycles."""

from itertools import product

from golden.piper import Mode, Settings
from hdl.piper.parameters import Source
from sim.bench import PATTERNS, Bench, bench_test
from sim.piper.beats import FULL, RAGGED
from sim.piper.driver import Driver
from sim.piper.traffic import Traffic

#: Rows of the long runs, of each combination of stalls, and of the stretch for throughput.
ROWS = 200
STALLED_ROWS = 12
#: More rows than fit in anywhere.
FILLING_ROWS = 150
SUSTAINED_ROWS = 100
#: The sustained throughput may be this much below the bound.
TOLERANCE = 0.02


def _settings(driver: Driver, mode: Mode = Mode.FUSED) -> Settings:
    """A modulus that leaves few values, so that they repeat."""
    return Settings(mode, modulus=max(2, driver.parameters.entries * 5 // 8), unseen_index=0xFFFF)


@bench_test
async def good_rows(bench: Bench) -> None:
    """Ordinary rows in full beats, and in beats that begin at every byte."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    driver.set(_settings(driver))
    await driver.send([traffic.good(ROWS)])
    shifts = range(driver.parameters.bus_bytes)
    await driver.send([traffic.good(2) for _ in shifts], shifts=shifts)


@bench_test
async def all_stalls(bench: Bench) -> None:
    """Good and bad rows under every combination of a pausing input and a refusing output."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    driver.set(_settings(driver))
    for patterns, layout in product(product(PATTERNS, PATTERNS), (FULL, RAGGED)):
        await driver.send([traffic.mixed(STALLED_ROWS)], patterns, layout=layout)


@bench_test
async def full_to_the_brim(bench: Bench) -> None:
    """The output takes nothing until nothing more goes in; then everything comes out."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    driver.set(_settings(driver))
    await driver.send([traffic.good(FILLING_ROWS)], until_full=True)
    await driver.send([traffic.mixed(FILLING_ROWS)], ("random", "bursts"), until_full=True)


@bench_test
async def bad_rows(bench: Bench) -> None:
    """Everything that can be wrong with a row, between good ones; data sets that end anywhere."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    driver.set(_settings(driver))
    await driver.send([traffic.everything_bad()])
    await driver.send(traffic.truncated(), ("random", "random"))
    counters = driver.reference.counters()
    named = [] if driver.parameters.source is Source.TEXT else ["short"]
    for cause in named or list(counters)[2:-2]:
        bench.check(counters[cause] > 0, f"no row with {cause}")


@bench_test
async def modes(bench: Bench) -> None:
    """Two passes give what one gives; values without a number; clear; a second data set."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    first, second = traffic.good(40), traffic.good(40)
    for mode in (Mode.GEN, Mode.APPLY):
        driver.set(_settings(driver, mode))
        await driver.send([first])
    driver.set(_settings(driver, Mode.APPLY))
    await driver.send([second])
    await driver.clear()
    await driver.check_counters()
    driver.set(_settings(driver, Mode.APPLY))
    await driver.send([first], ("random", "random"))
    await driver.clear()
    driver.set(_settings(driver))
    await driver.send([second, first, b""])
    await driver.clear()
    # Values that no vocabulary has room for.
    driver.set(Settings(Mode.FUSED, modulus=4 * driver.parameters.entries, unseen_index=7))
    await driver.send([first])


@bench_test
async def every_modulus(bench: Bench) -> None:
    """Moduli at the ends of the range, one behind the other; 0 is none."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    for modulus in (1, 2, 3, 8192, 1_000_000, (1 << 32) - 1, 0):
        driver.set(Settings(Mode.FUSED, modulus, 1))
        await driver.send([traffic.good(4)])


@bench_test
async def reset_inside(bench: Bench) -> None:
    """A reset in the middle of a data set leaves nothing of it."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    driver.set(_settings(driver))
    for cycles in bench.rng.integers(1, 400, 3).tolist():
        ends = driver.ends([traffic.mixed(20)], ("flowing", "random"))
        await bench.run((), lambda: bool(int(bench.port("i__ready").value)), limit=50_000)
        for _ in range(cycles):
            await bench.tick(*ends, *driver.memories)
        ends[0].withdraw()
        await bench.reset()
        driver.forget()
        await driver.send([traffic.good(5)])


@bench_test
async def densest_rows(bench: Bench) -> None:
    """Empty fields alone, and rows of nothing: the input waits, and nothing is lost."""
    driver = Driver(bench)
    traffic = Traffic(bench.rng, driver.parameters)
    driver.set(_settings(driver))
    await driver.send([traffic.empty(60)])
    await driver.send([traffic.newlines(90)], ("flowing", "bursts"))


@bench_test
async def sustained_throughput(bench: Bench) -> None:
    """Cycles a row in steady state, of ordinary rows: what the bus or the lanes allow."""
    driver = Driver(bench)
    p = driver.parameters
    traffic = Traffic(bench.rng, p)
    driver.set(_settings(driver))
    await driver.send([traffic.good(10)])  # the settings are made, the pipeline is empty again
    data = traffic.good(SUSTAINED_ROWS)
    source, sink = await driver.send([data])
    # From the end of the first row to that of the last.
    ends = [cycle for cycle, _ in sink.received][p.beats - 1 : -1 : p.beats]
    rows, cycles = len(ends) - 1, ends[-1] - ends[0]
    size = traffic.bytes_behind_first_row(data)
    bound = max(size / p.bus_bytes, rows * p.beats)
    bench.check(
        (1 - TOLERANCE) * bound <= cycles <= (1 + TOLERANCE) * bound,
        f"{rows} rows in {cycles} cycles, the bound is {bound:.0f}",
    )
    bench.figures["bytes_per_row"] = size / rows
    bench.figures["cycles_per_row"] = cycles / rows
    bench.figures["latency"] = sink.received[0][0] - source.taken[0]
    bench.report_work(rows, cycles, ends[0])
