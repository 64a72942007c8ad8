"""When sequences come and how long they are.

Synthetic lengths are labelled so wherever they are shown: no histogram of a real load was found
that is published. Lengths of real text, and traces of one's own, are used as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.ebatch.lines import line_lengths
from sim.ebatch.runtime import Request

#: What an engine counts; see ``hdl.ebatch.flags``.
LONGEST = (1 << 16) - 1
HEADER = ["cycle", "length"]

Lengths = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Lengths of sequences: where they are from, in words, and a function that draws so many."""

    name: str
    label: str
    draw: Callable[[np.random.Generator, int], Lengths]


def _short(rng: np.random.Generator, count: int) -> Lengths:
    spread = 0.57
    return _clip(rng.lognormal(np.log(25.7) - spread**2 / 2, spread, count), 100)


def _long(rng: np.random.Generator, count: int) -> Lengths:
    shape = 2.2
    return _clip(rng.gamma(shape, 180 / shape, count), 512)


def _lines(rng: np.random.Generator, count: int) -> Lengths:
    return rng.choice(line_lengths(), count)


def _clip(lengths: NDArray[np.float64], most: int) -> Lengths:
    return np.clip(np.rint(lengths), 1, most).astype(np.int64)


SOURCES = {
    source.name: source
    for source in (
        Source("short", "synthetic: lognormal, mean 25.6, at most 100, as sentences", _short),
        Source("long", "synthetic: gamma, mean 179, at most 512, as utterances", _long),
        Source("lines", "real: lines of the Python standard library, code and prose", _lines),
    )
}


def of_lengths(name: str, label: str, lengths: Sequence[int]) -> Source:
    """Draws from these, each as likely as any other."""
    return Source(name, label, lambda rng, count: rng.choice(np.asarray(lengths, np.int64), count))


def at_once(lengths: Lengths, tag_bits: int) -> list[Request]:
    """All in cycle 0: a queue that no engine empties for long."""
    return requests(np.zeros(len(lengths), dtype=np.int64), lengths, tag_bits)


def poisson(
    rng: np.random.Generator, lengths: Lengths, cycles_between: float, tag_bits: int
) -> list[Request]:
    """Independent arrivals, so many cycles apart on average."""
    cycles = np.cumsum(rng.exponential(cycles_between, len(lengths)))
    return requests(cycles.astype(np.int64), lengths, tag_bits)


def requests(cycles: Lengths, lengths: Lengths, tag_bits: int) -> list[Request]:
    """Numbered in order of arrival, from 0 again behind the last tag there is."""
    return [
        Request(number & (1 << tag_bits) - 1, length, cycle)
        for number, (cycle, length) in enumerate(
            zip(cycles.tolist(), lengths.tolist(), strict=True)
        )
    ]


def read_trace(file: Path, tag_bits: int) -> list[Request]:
    """Sequences of a CSV file: a line each, the cycle it arrives in and its length.

    The first line may be ``cycle,length``; empty lines are skipped. Raises ValueError that names
    the line and what is allowed, and OSError if the file cannot be read.
    """
    cycles: list[int] = []
    lengths: list[int] = []
    with file.open(encoding="utf-8-sig", errors="replace") as text:
        for number, line in enumerate(text, 1):
            fields = [field.strip() for field in line.split(",")]
            if not any(fields) or (not cycles and fields == HEADER):
                continue
            place = f"{file.name}, line {number}"
            if len(fields) != len(HEADER):
                raise ValueError(f"{place}: {len(fields)} fields; a line is 'cycle,length'")
            cycle = _number(fields[0], f"{place}: cycle", 0, (1 << 63) - 1)
            if cycles and cycle < cycles[-1]:
                raise ValueError(
                    f"{place}: cycle {cycle} comes behind {cycles[-1]}; cycles may not go back"
                )
            cycles.append(cycle)
            lengths.append(_number(fields[1], f"{place}: length", 1, LONGEST))
    if not cycles:
        raise ValueError(f"{file.name}: no sequences; a line is 'cycle,length'")
    return requests(np.array(cycles), np.array(lengths), tag_bits)


def _number(text: str, what: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and low <= int(text) <= high):
        raise ValueError(f"{what} is {text!r}; allowed are whole numbers from {low} to {high}")
    return int(text)
