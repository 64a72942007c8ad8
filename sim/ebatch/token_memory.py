"""The memory that sequences lie in, for engines that fetch them."""

import numpy as np

from hdl.ebatch.parameters import Parameters
from sim.bench import Bench
from sim.ebatch.tokens import Submission
from sim.memory import Requests, Responses

#: Words between two sequences at most, of an address space of 32 bits.
GAP = 1 << 24


class TokenMemory:
    """Answers the engine's fetches in order, each some cycles later.

    latency: cycles to an answer beyond the one that is the least, and by chance up to ``jitter``
    more. Fails if a word is fetched that no sequence has. fetched: cycles in which an address was
    taken.
    """

    def __init__(
        self, bench: Bench, parameters: Parameters, pattern: str, latency: int, jitter: int = 0
    ) -> None:
        self._bench = bench
        self._parameters = parameters
        self._requests = Requests(bench, "o_fetch", pattern)
        self._answers = Responses(bench, "i_fetched")
        self._latency, self._jitter = latency, jitter
        self._words: dict[int, int] = {}
        self._free = int(bench.rng.integers(1 << 31))
        self.fetched: list[int] = []

    def place(self, submission: Submission) -> int:
        """Write a sequence somewhere; the address of its first word."""
        width = self._parameters.width
        base = self._free + int(self._bench.rng.integers(GAP))
        data = submission.inputs.astype(np.int8).tobytes()
        for at in range(0, len(data), width):
            word = int.from_bytes(data[at : at + width], "little")
            self._words[base + at // width] = word
        self._free = base + len(data) // width + 1
        return base

    @property
    def under_way(self) -> int:
        """Words that were asked for and not taken."""
        return len(self._answers)

    @property
    def waited(self) -> int:
        """Cycles in which a word was there and was not taken."""
        return self._answers.waited

    def forget(self) -> None:
        """After a reset of the design: answer nothing it has asked for before."""
        self._answers.forget()

    def sample(self, cycle: int) -> None:
        self._answers.sample()
        if (address := self._requests.sample()) is None:
            return
        self._bench.check(address in self._words, f"word {address} is of no sequence")
        self.fetched.append(cycle)
        late = int(self._bench.rng.integers(self._jitter + 1))
        self._answers.add(cycle + self._latency + late, self._words[address])

    def drive(self) -> None:
        self._requests.drive()
        self._answers.drive(self._bench.cycle)
