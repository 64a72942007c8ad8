"""What users see of long work: aligned lines as results arrive, a progress bar on a terminal."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sim.tools import ToolError


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, its width in characters, and which way it leans."""

    title: str
    width: int
    right: bool = True


class LiveTable:
    """A table that prints each line as soon as it is known.

    On a terminal a bar below it shows how much of ``total`` is done; a log gets the lines alone.
    """

    def __init__(self, columns: Sequence[Column], total: int, activity: str) -> None:
        self._columns = columns
        self._console = Console(soft_wrap=True, markup=False, highlight=False)
        self._progress = Progress(
            TextColumn(activity),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(activity, total=total)

    def __enter__(self) -> "LiveTable":
        self._progress.start()
        self._print([column.title for column in self._columns])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def add(self, cells: Sequence[str], *, advance: bool = True, style: str | None = None) -> None:
        """Print one line; with ``advance`` it completes one piece of the work."""
        self._print(cells, style)
        if advance:
            self.advance()

    def advance(self) -> None:
        """One piece of the work is complete, without a line of its own."""
        self._progress.advance(self._task)

    def note(self, text: str, *, style: str | None = None) -> None:
        """Print a remark of its own below the last line."""
        self._console.print(f"  {text}", style=style)

    def _print(self, cells: Sequence[str], style: str | None = None) -> None:
        fields = [
            cell.rjust(column.width) if column.right else cell.ljust(column.width)
            for cell, column in zip(cells, self._columns, strict=True)
        ]
        self._console.print("  ".join(fields).rstrip(), style=style)


def run_command(main: Callable[[], int]) -> NoReturn:
    """End the process with what ``main`` returns; a missing tool or Ctrl-C is one clear line."""
    try:
        sys.exit(main())
    except ToolError as error:
        sys.exit(f"assay: {error}")
    except KeyboardInterrupt:
        sys.exit("assay: interrupted; what was finished is kept, the rest will be done next time")
