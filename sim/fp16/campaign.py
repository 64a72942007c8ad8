"""What has been compared of a circuit: chunks of sweeps, kept in a file until something changes."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from golden.fp16_instruction import Operation
from golden.rounding import Mode
from sim.cache import fingerprint, fingerprint_files, write_atomically
from sim.fp16.sweep import OPERANDS, Outcome
from sim.paths import ROOT
from sim.tools import ToolError, versions

#: First operands of a chunk, which makes it 2**28 pairs: a few seconds.
CHUNK = 1 << 12
_CHECKERS = [
    *(ROOT / "sim" / "fp16" / name for name in ("oracle.h", "oracle.py", "sweep.cpp", "sweep.py")),
    *(ROOT / "sim" / name for name in ("sliced.py", "evaluate.py", "model.py", "runtime")),
]


@dataclass(frozen=True)
class Sweep:
    """One operation in one mode (None: it does not round) on the lane ``config``."""

    config: str
    operation: Operation
    mode: Mode | None = None

    @property
    def mode_name(self) -> str:
        return "any" if self.mode is None else self.mode.name

    @property
    def name(self) -> str:
        return f"{self.operation.name} {self.mode_name}"


@dataclass
class Campaign:
    """Sweeps over one circuit, and what is done of them.

    parent: where each circuit has a folder of its own. chunk: first operands of a chunk. limit:
    chunks of each sweep that are wanted, None for all.
    """

    rtlil: str
    parent: Path
    chunk: int = CHUNK
    limit: int | None = None
    _done: dict[str, dict[int, Outcome]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        key = fingerprint(self.rtlil, fingerprint_files(_CHECKERS), str(versions()))
        folder = self.parent / f"{key}-{self.chunk}"
        self.circuit = folder / "circuit.il"
        self._state = folder / "state.json"
        write_atomically(self.circuit, self.rtlil)
        try:
            state = json.loads(self._state.read_text())
        except (OSError, ValueError):
            state = {}
        pairs = self.chunk * OPERANDS
        self._done = {
            sweep: {int(number): Outcome(pairs, 0, seconds) for number, seconds in chunks.items()}
            for sweep, chunks in state.items()
        }

    def operands(self, number: int) -> range:
        """First operands of a chunk."""
        return range(number * self.chunk, (number + 1) * self.chunk)

    def missing(self, sweep: Sweep) -> list[int]:
        """Chunks that are still to be done."""
        done = self._done.get(sweep.name, {})
        return [number for number in self._numbers if number not in done]

    def outcome(self, sweep: Sweep) -> Outcome:
        """Of all chunks done, be they wanted now or not."""
        chunks = self._done.get(sweep.name, {}).values()
        return Outcome(
            sum(each.pairs for each in chunks),
            sum(each.mismatches for each in chunks),
            sum(each.seconds for each in chunks),
            tuple(example for each in chunks for example in each.examples),
        )

    def add(self, sweep: Sweep, number: int, outcome: Outcome) -> None:
        """Keep what a chunk gave; one with a mismatch is not done, and left out of the file.

        Raises ToolError for a chunk that is incomplete without a mismatch.
        """
        if not outcome.mismatches and outcome.pairs != self.chunk * OPERANDS:
            raise ToolError(f"{sweep.name}: chunk {number} compared only {outcome.pairs:,} pairs")
        self._done.setdefault(sweep.name, {})[number] = outcome
        passed = {
            name: {at: each.seconds for at, each in chunks.items() if not each.mismatches}
            for name, chunks in self._done.items()
        }
        write_atomically(self._state, json.dumps(passed))

    @property
    def _numbers(self) -> range:
        return range(OPERANDS // self.chunk)[: self.limit]
