"""Testbench of the plain engine: batches of sequences of one length."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from golden.ebatch import run_layers
from hdl.ebatch.configurations import EbatchConfiguration
from hdl.ebatch.plain import plain_output
from sim.bench import PATTERNS, Bench, Sink, Source, bench_test
from sim.ebatch.driver import WeightMemory
from sim.ebatch.networks import random_network
from sim.packing import unpack_fields


class PlainDriver:
    """Sends batches through the engine and compares all that comes out."""

    def __init__(self, bench: Bench, weights: str = "flowing") -> None:
        assert isinstance(bench.configuration, EbatchConfiguration)
        self.bench = bench
        self.parameters = bench.configuration.parameters
        self.network = random_network(bench.rng, self.parameters)
        self.memory = WeightMemory(bench, self.parameters, self.network, weights)
        for name in ("run", "all_steps", "steps"):
            bench.port(name).value = 0

    def words(self, batch: NDArray[np.int8]) -> list[int]:
        """The words of a batch [steps, lanes, inputs]: of each step a word of every lane."""
        steps, lanes, _ = batch.shape
        width = self.parameters.width
        ordered = batch.reshape(steps, lanes, -1, width).transpose(0, 2, 1, 3)
        data = ordered.tobytes()
        return [
            int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)
        ]

    async def send(
        self,
        lengths: Sequence[int],
        patterns: tuple[str, str, str] = ("flowing", "flowing", "flowing"),
        *,
        all_steps: bool = True,
    ) -> None:
        """Send batches of these lengths, one behind the other, and compare everything."""
        for length in lengths:
            await self._send(length, patterns, all_steps)

    async def _send(self, length: int, patterns: tuple[str, str, str], all_steps: bool) -> None:
        bench, p = self.bench, self.parameters
        batch = bench.rng.integers(-128, 128, (length, p.lanes, p.input_size)).astype(np.int8)
        bench.port("steps").value = length
        bench.port("all_steps").value = int(all_steps)
        bench.port("run").value = 1
        source = Source(bench, "i", self.words(batch), patterns[0])
        sink, done = Sink(bench, "o", patterns[1]), Sink(bench, "o_done", patterns[2])
        outputs = [run_layers(self.network, batch[:, lane])[-1].outputs for lane in range(p.lanes)]
        expected = np.stack(outputs, axis=1)[0 if all_steps else -1 :]
        words = expected.size // p.width
        await bench.run(
            (source, sink, done, self.memory),
            lambda: bool(done.received) and len(sink.received) == words,
            limit=20_000 + 8 * length * sum(map(p.step_cycles, range(p.layers))),
        )
        beats = [unpack_fields(plain_output(p), payload) for payload in sink.payloads]
        data = b"".join(beat["data"].to_bytes(p.width, "little") for beat in beats)
        found = np.frombuffer(data, np.int8).reshape(expected.shape)
        bench.check_equal(found, expected, f"outputs of a batch of {length} steps")
        lasts = np.repeat(np.arange(len(expected)) == len(expected) - 1, words // len(expected))
        bench.check_equal([beat["last"] for beat in beats], lasts, "last")
        bench.check_equal(done.payloads, [length], "steps of the batch")
        bench.check(done.received[0][0] > sink.received[-1][0], "done before the data")


@bench_test
async def batches(bench: Bench) -> None:
    """Batches of all kinds of lengths."""
    driver = PlainDriver(bench)
    await driver.send([1, 2, 1, 3, min(5, driver.parameters.max_steps)])
    await driver.send([1, 3], all_steps=False)


@bench_test
async def stalls(bench: Bench) -> None:
    """Pausing inputs and weights, refused outputs."""
    driver = PlainDriver(bench, "random")
    for tokens, outputs in product(PATTERNS[1:], repeat=2):
        await driver.send([2], (tokens, outputs, "random"))


@bench_test
async def reset_inside(bench: Bench) -> None:
    """A reset in the middle of a batch leaves nothing of it."""
    driver = PlainDriver(bench)
    p = driver.parameters
    batch = np.ones((2, p.lanes, p.input_size), np.int8)
    bench.port("steps").value = 2
    bench.port("run").value = 1
    source = Source(bench, "i", driver.words(batch), "flowing")
    sinks = [Sink(bench, name, "flowing") for name in ("o", "o_done")]
    for _ in range(p.load_words(0) + p.step_cycles(0) // 2):
        await bench.tick(source, *sinks, driver.memory)
    source.withdraw()
    driver.memory.forget()
    await bench.reset()
    await driver.send([2, 1])


@bench_test
async def sustained(bench: Bench) -> None:
    """A long batch, to compare energy and throughput with."""
    driver = PlainDriver(bench)
    p = driver.parameters
    await driver.send([1])
    first = bench.cycle
    steps = min(p.max_steps, p.token_depth)
    await driver.send([steps], all_steps=False)
    words = steps * sum(map(p.weight_words, range(p.layers)))
    bench.report_work(words * p.width * p.lanes, bench.cycle - first, first)
