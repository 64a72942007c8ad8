"""Drives matrix products through the FP16 unit: results come back as operands, all are checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from golden.fp16_matrix import Accumulation
from golden.integers import Integers
from hdl.fp16.configurations import UnitConfiguration
from hdl.fp16.instruction import instruction_layout
from hdl.fp16.parameters import Parameters
from sim.bench import Bench, Sink, active_cycles
from sim.fp16.kernels import Step, make_steps
from sim.fp16.program import pack, unpack
from sim.packing import unpack_rows

Patterns = tuple[str, str]
FLOWING: Patterns = ("flowing", "flowing")


class Issuer:
    """Offers steps in order, each as soon as the registers that it reads and writes are there.

    In a tick it comes after ``sink``: what arrives at a clock edge is an operand from then on.
    ``taken`` holds the cycle of each transfer, ``results`` the register that each step returned.
    """

    def __init__(
        self, bench: Bench, p: Parameters, steps: Sequence[Step], sink: Sink, pattern: str
    ):
        self._bench, self._parameters, self._steps, self._sink = bench, p, steps, sink
        self._beats = pack([step.instruction for step in steps], p)
        self._at_b, self._at_c = (instruction_layout(p)[name].offset for name in "bc")
        self._valid = bench.port("i__valid")
        self._ready = bench.port("i__ready")
        self._payload = bench.port("i__payload")
        self._garbage = (1 << len(self._payload)) - 1
        self._active = active_cycles(pattern, bench.rng)
        self._waiting = False
        self._is_valid = False
        self._offered = 0
        self._registers: dict[int, int] = {}
        #: Steps whose results are due, by the register that they write.
        self._pending: dict[int, int] = {}
        self._stored = 0
        self.taken: list[int] = []
        self.results = [0] * len(steps)

    @property
    def done(self) -> bool:
        return self._stored == len(self._steps)

    def sample(self, cycle: int) -> None:
        for _, payload in self._sink.received[self._stored :]:
            self._store(payload)
        if self._waiting and int(self._ready.value):
            self.taken.append(cycle)
            self._waiting = False

    def drive(self) -> None:
        if self._waiting:
            return
        wants = self._offered < len(self._steps) and next(self._active)
        if wants and self._has_operands():
            self._offer()
        elif self._is_valid:
            # Nothing is offered: the payload is then the worst it could be.
            self._payload.value = self._garbage ^ self._beats[self._offered - 1]
            self._valid.value = 0
            self._is_valid = False

    def _store(self, payload: int) -> None:
        self._stored += 1
        got = unpack(payload, self._parameters)
        self._bench.check(got.tag in self._pending, f"tag {got.tag} was not due")
        self._bench.check(not got.error, f"tag {got.tag} is an error")
        self._registers[got.tag] = self.results[self._pending.pop(got.tag)] = got.result

    def _has_operands(self) -> bool:
        step = self._steps[self._offered]
        needed = step.instruction.tag, step.b_from, step.c_from
        return not any(register in self._pending for register in needed)

    def _offer(self) -> None:
        step, payload = self._steps[self._offered], self._beats[self._offered]
        if step.b_from is not None:
            payload |= self._registers[step.b_from] << self._at_b
        if step.c_from is not None:
            payload |= self._registers[step.c_from] << self._at_c
        self._payload.value = payload
        if not self._is_valid:
            self._valid.value = 1
            self._is_valid = True
        self._waiting = True
        # Due from now on: a combinational unit answers at the edge that takes the instruction.
        self._pending[step.instruction.tag] = self._offered
        self._offered += 1


@dataclass(frozen=True)
class Product:
    """A matrix product that a circuit has computed.

    patterns: (N, M). macs: multiply-accumulates of the product itself, N * K * M. cycles: from
    the first instruction taken to the last result taken, both included.
    """

    patterns: Integers
    macs: int
    cycles: int


class MatrixUnit:
    """The design under test as a machine for matrix products."""

    def __init__(self, bench: Bench) -> None:
        assert isinstance(bench.configuration, UnitConfiguration)
        self.bench = bench
        self.parameters: Parameters = bench.configuration.parameters
        bench.port("flush").value = 0

    async def multiply(
        self,
        a: ArrayLike,
        b: ArrayLike,
        how: Accumulation,
        c: ArrayLike | None = None,
        patterns: Patterns = FLOWING,
    ) -> Product:
        """``golden.fp16_matrix.multiply`` on the circuit, every accumulator compared with it.

        The longer side of the result goes along the lanes: products commute.
        """
        left, right = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
        shape = len(left), right.shape[1]
        start = np.zeros(shape, np.int64) if c is None else np.asarray(c, dtype=np.int64)
        turned = shape[0] > shape[1]
        if turned:
            left, right, start = right.T, left.T, start.T
        steps = make_steps(self.parameters, how, left, right, start)
        sink = Sink(self.bench, "o", patterns[1])
        issuer = Issuer(self.bench, self.parameters, steps, sink, patterns[0])
        for end in (sink, issuer):
            end.drive()
        limit = 100 * len(steps) + 1000
        await self.bench.run((sink, issuer), lambda: issuer.done, limit=limit)
        for _ in range(8):
            await self.bench.tick(sink, issuer)
        self.bench.check_equal(len(sink.received), len(steps), "results")
        self._check(steps, issuer.results)
        cycles = sink.received[-1][0] - issuer.taken[0] + 1
        product = self._assemble(steps, issuer.results, how, start.shape)
        return Product(product.T if turned else product, len(left) * right.size, cycles)

    def _check(self, steps: Sequence[Step], results: Sequence[int]) -> None:
        for step, got in zip(steps, results, strict=True):
            same = got == step.result
            message = "" if same else f"{step}: got {got:x}, expected {step.result:x}"
            self.bench.check(same, message)

    def _assemble(
        self, steps: Sequence[Step], results: Sequence[int], how: Accumulation, shape: tuple
    ) -> Integers:
        """The last accumulators, as patterns of the product."""
        last = {
            step.place[:2]: register
            for step, register in zip(steps, results, strict=True)
            if step.place is not None
        }
        width = how.format.width
        elements = self.parameters.pairs if how is Accumulation.EXDOTP else self.parameters.lanes
        registers = [last[place] for place in sorted(last)]
        lanes = unpack_rows(registers, width, elements).reshape(shape[0], -1)
        return lanes[:, : shape[1]] & (1 << width) - 1
