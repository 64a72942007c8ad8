"""The memory outside the chip that holds vocabularies: one port a lane, slow and out of step."""

from collections import deque
from typing import Any

from sim.bench import Bench, active_cycles

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
        self._read = _Requests(bench, f"o_read_{lane}", pattern)
        self._write = _Requests(bench, f"o_write_{lane}", pattern)
        self._answers = _Responses(bench, f"i_read_{lane}")
        self._acknowledgements = _Responses(bench, f"i_written_{lane}")
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


class _Requests:
    """Takes requests when its pattern allows."""

    def __init__(self, bench: Bench, name: str, pattern: str) -> None:
        self._valid: Any = bench.port(f"{name}__valid")
        self._ready: Any = bench.port(f"{name}__ready")
        self._payload: Any = bench.port(f"{name}__payload")
        self._active = active_cycles(pattern, bench.rng)
        self._is_ready = False

    def sample(self) -> int | None:
        if self._is_ready and int(self._valid.value):
            return int(self._payload.value)
        return None

    def drive(self) -> None:
        self._is_ready = next(self._active)
        self._ready.value = int(self._is_ready)


class _Responses:
    """Gives responses in order, each when it is due."""

    def __init__(self, bench: Bench, name: str) -> None:
        self._valid: Any = bench.port(f"{name}__valid")
        self._ready: Any = bench.port(f"{name}__ready")
        self._payload: Any = bench.port(f"{name}__payload")
        self._queue: deque[tuple[int, int]] = deque()
        self._offers = False

    def add(self, due: int, payload: int) -> None:
        self._queue.append((due, payload))

    def forget(self) -> None:
        self._queue.clear()
        self._valid.value = 0
        self._offers = False

    def sample(self) -> bool:
        """Whether the response that is offered was taken."""
        if not (self._offers and int(self._ready.value)):
            return False
        self._queue.popleft()
        self._offers = False
        return True

    def drive(self, cycle: int) -> None:
        if not self._offers and self._queue and self._queue[0][0] <= cycle:
            self._payload.value = self._queue[0][1]
            self._offers = True
        self._valid.value = int(self._offers)
