"""The memory outside the chip that holds vocabularies: one port a lane, slow and out of step."""

from collections import deque

from sim.bench import Bench
from sim.memory import Requests, Responses

#: Cycles from a request to its answer: at least, and how many more by chance.
LATENCY = 30
JITTER = 20


class MemoryPort:
    """Reads and writes of one lane, as the four streams of ``OffChipVocabularies`` ask.

    Answers and acknowledgements come in order, each some ``LATENCY`` cycles later. A write is seen
    by reads that begin after its acknowledgement, and by no others: as late as is allowed.
    Fails if a word is read that was never written, or written twice.
    """

    def __init__(self, bench: Bench, lane: int, pattern: str) -> None:
        self._bench = bench
        self._read = Requests(bench, f"o_read_{lane}", pattern)
        self._write = Requests(bench, f"o_write_{lane}", pattern)
        self._answers = Responses(bench, f"i_read_{lane}")
        self._acknowledgements = Responses(bench, f"i_written_{lane}")
        self._address_bits = len(bench.port(f"o_read_{lane}__payload"))
        self._words: dict[int, int] = {}
        self._unseen: deque[tuple[int, int]] = deque()
        self.reads = 0

    def forget(self) -> None:
        """After a reset of the design, which loses what was under way."""
        self._words.clear()
        self._unseen.clear()
        for responses in (self._answers, self._acknowledgements):
            responses.forget()

    def sample(self, cycle: int) -> None:
        if self._acknowledgements.sample():
            address, number = self._unseen.popleft()
            self._bench.check(address not in self._words, f"word {address} is written twice")
            self._words[address] = number
        self._answers.sample()
        due = cycle + LATENCY + int(self._bench.rng.integers(JITTER))
        if (wanted := self._read.sample()) is not None:
            self._bench.check(wanted in self._words, f"word {wanted} was never written")
            self._answers.add(due, self._words[wanted])
            self.reads += 1
        if (request := self._write.sample()) is not None:
            address = request & (1 << self._address_bits) - 1
            self._unseen.append((address, request >> self._address_bits))
            self._acknowledgements.add(due, 1)

    def drive(self) -> None:
        for end in (self._read, self._write):
            end.drive()
        for responses in (self._answers, self._acknowledgements):
            responses.drive(self._bench.cycle)
