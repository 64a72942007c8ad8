"""Real input: training steps whose every matrix product, forward and backward, is the circuit's."""

import numpy as np

from golden.fp16_matrix import Accumulation
from golden.integers import Integers
from sim.bench import Bench, bench_test
from sim.digits_data import Images, training_split
from sim.fp16.matrix import MatrixUnit, Product
from sim.fp16.train import load_figures
from sim.fp16.training import (
    SEED,
    Arithmetic,
    Floats,
    Training,
    as_numbers,
    batches,
    evaluate,
    golden_arithmetic,
    half_patterns,
)

STEPS = 3


class Trainer:
    """A training whose products are the circuit's, and the same one in the golden model."""

    def __init__(self, bench: Bench, how: Accumulation, rng: np.random.Generator) -> None:
        self._bench, self._how = bench, how
        self._unit = MatrixUnit(bench)
        self.golden = golden_arithmetic(how)
        self.expected = self.training = Training.start(rng)
        self.products: list[Product] = []

    async def step(self, images: Images, labels: Integers) -> None:
        """One step: the golden model says which products there are, the circuit computes them."""
        operands: list[tuple[Floats, Floats]] = []

        def record(a: Floats, b: Floats) -> Floats:
            operands.append((a, b))
            return self.golden.multiply(a, b)

        self.expected, _ = self.expected.step(images, labels, Arithmetic(np.float16, record))
        results = []
        for a, b in operands:
            done = await self._unit.multiply(half_patterns(a), half_patterns(b), self._how)
            self.products.append(done)
            results.append(as_numbers(done.patterns, self._how))
        sent, remaining = iter(operands), iter(results)

        def replay(a: Floats, b: Floats) -> Floats:
            for given, before in zip((a, b), next(sent), strict=True):
                self._compare(given, before, "operand that the circuit's own results lead to")
            return next(remaining)

        self.training, _ = self.training.step(images, labels, Arithmetic(np.float16, replay))
        for name in ("convolution", "dense"):
            trained, golden = (
                getattr(each.network, name) for each in (self.training, self.expected)
            )
            self._compare(trained, golden, f"weights of {name}")

    def _compare(self, actual: Floats, expected: Floats, what: str) -> None:
        unsigned = f"u{expected.itemsize}"
        self._bench.check_equal(actual.view(unsigned), expected.view(unsigned), what)


async def _train(bench: Bench, how: Accumulation, name: str) -> None:
    images, labels = training_split()
    rng = np.random.default_rng(SEED)
    trainer = Trainer(bench, how, rng)
    losses = []
    for chosen, _ in zip(batches(rng, len(labels)), range(STEPS), strict=False):
        losses.append(evaluate(trainer.training.network, images, labels, trainer.golden)[0])
        await trainer.step(images[chosen], labels[chosen])
    losses.append(evaluate(trainer.training.network, images, labels, trainer.golden)[0])
    bench.check(losses[-1] < losses[0], f"the loss does not fall: {losses}")
    macs = sum(each.macs for each in trainer.products)
    cycles = sum(each.cycles for each in trainer.products)
    bench.figures |= {
        f"training_loss_first_{name}": losses[0],
        f"training_loss_last_{name}": losses[-1],
        f"training_mac_per_cycle_{name}": macs / cycles,
    }


@bench_test
async def training_steps_fp16(bench: Bench) -> None:
    """Three steps accumulated in FLOAT16: every accumulator, weight and operand bit-exact."""
    await _train(bench, Accumulation.FMADD, "fp16")


@bench_test
async def training_steps_exdotp(bench: Bench) -> None:
    """The same steps accumulated in FLOAT32; and the figures of whole trainings, as recorded."""
    await _train(bench, Accumulation.EXDOTP, "exdotp")
    bench.figures |= load_figures()
