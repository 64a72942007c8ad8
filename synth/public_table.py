"""The table of ``make synth`` that sets configurations beside public designs."""

from collections.abc import Iterable, Sequence
from functools import partial

from sim.console import Column, LiveTable
from sim.parallel import in_parallel
from sim.tools import ToolError
from synth.cost import NotVerifiedError
from synth.libraries import Choice
from synth.public import Beside, references, set_beside
from synth.replay import ReplayError

#: Datapath, configuration, what was found, and what went wrong if anything did.
Outcome = tuple[str, str, list[Beside], str]


def show_public(
    mapped: Iterable[tuple[str, str]], choice: Choice, jobs: int
) -> tuple[list[Beside], int]:
    """Set those that have public designs beside them; also how many of them failed.

    ``mapped``: datapaths and configurations.
    """
    chosen = [pair for pair in mapped if references(*pair, choice)]
    if not chosen:
        return [], 0
    print("\nwhole designs, flattened; the public ones were mapped by this project's authors with")
    print(f"the same scripts and the full library of the process, ours with {choice.description}")
    found: list[Beside] = []
    failed = 0
    columns = _columns(chosen, choice)
    with LiveTable(columns, len(chosen), "public designs") as table:
        for datapath, config, beside, message in in_parallel(
            partial(_one, choice=choice), chosen, jobs
        ):
            found += beside
            for row, each in enumerate(beside):
                table.add(_cells(each), advance=row == 0)
            if message:
                failed += 1
                table.add([config, "failed", *[""] * (len(columns) - 2)], style="red")
                table.note(message.replace("\n", "\n  "), style="red")
                table.note(f"again: make synth DATAPATH={datapath} CONFIG={config}")
    for source in dict.fromkeys(f"{each.name}: {each.source}" for each in found if each.source):
        print(source)
    print()
    return found, failed


def _one(datapath: str, config: str, *, choice: Choice) -> Outcome:
    try:
        return datapath, config, set_beside(datapath, config, choice), ""
    except (NotVerifiedError, ReplayError, ToolError, ValueError) as error:
        return datapath, config, [], f"{type(error).__name__}: {error}"


def _columns(chosen: Sequence[tuple[str, str]], choice: Choice) -> list[Column]:
    names = [each.name for pair in chosen for each in references(*pair, choice)]
    return [
        Column("configuration", max(13, *(len(config) for _, config in chosen)), right=False),
        Column("script", 8, right=False),
        Column("ours µm²", 9),
        Column("ns", 6),
        Column("spread", 6),
        Column("public design", max(13, *map(len, names)), right=False),
        Column("µm²", 9),
        Column("ns", 6),
        Column("area", 7),
        Column("delay", 7),
    ]


def _cells(each: Beside) -> list[str]:
    return [
        each.config,
        each.script,
        f"{each.area_um2:,.0f}",
        f"{each.delay_ns:.2f}",
        f"{each.spread - 1:+.1%}",
        each.name,
        f"{each.public_area_um2:,.0f}",
        f"{each.public_delay_ns:.2f}",
        f"{each.area_ratio - 1:+.1%}",
        f"{each.delay_ratio - 1:+.1%}",
    ]
