"""Ends of a memory's streams under cocotb: requests that wait, responses that are late."""

from collections import deque
from typing import Any

from sim.bench import Bench, active_cycles


class Requests:
    """Takes requests of the output stream ``name`` when its pattern allows."""

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


class Responses:
    """Gives responses to the input stream ``name`` in order, each when it is due.

    waited: cycles in which one was offered and not taken.
    """

    def __init__(self, bench: Bench, name: str) -> None:
        self._valid: Any = bench.port(f"{name}__valid")
        self._ready: Any = bench.port(f"{name}__ready")
        self._payload: Any = bench.port(f"{name}__payload")
        self._queue: deque[tuple[int, int]] = deque()
        self._offers = False
        self.waited = 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, due: int, payload: int) -> None:
        self._queue.append((due, payload))

    def forget(self) -> None:
        self._queue.clear()
        self._valid.value = 0
        self._offers = False

    def sample(self) -> bool:
        """Whether the response that is offered was taken."""
        if not (self._offers and int(self._ready.value)):
            self.waited += self._offers
            return False
        self._queue.popleft()
        self._offers = False
        return True

    def drive(self, cycle: int) -> None:
        if not self._offers and self._queue and self._queue[0][0] <= cycle:
            self._payload.value = self._queue[0][1]
            self._offers = True
        self._valid.value = int(self._offers)
