"""Jobs on all cores, results as they come."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")


def in_parallel(
    work: Callable[[str, str], T], chosen: Sequence[tuple[str, str]], jobs: int
) -> Iterator[T]:
    """``work(*pair)`` of every pair, each in a process of its own, in the order they finish.

    If one raises, or the user interrupts, those that have not started never do.
    """
    with ProcessPoolExecutor(min(jobs, len(chosen))) as pool:
        pending = [pool.submit(work, *pair) for pair in chosen]
        try:
            for done in as_completed(pending):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
