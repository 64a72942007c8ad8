"""Which configurations of which datapaths a command is about."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import NoReturn

from hdl.datapath import Datapath, find_datapath, find_datapaths


def select(datapath: str, configuration: str) -> list[tuple[Datapath, str]]:
    """Pairs of datapath and configuration name; an empty argument means all.

    ``configuration`` may be ``small``: the quickest one of each datapath; or a pattern with ``*``.
    Raises ValueError that lists what there is if nothing has that name.
    """
    datapaths = [find_datapath(datapath)] if datapath else list(find_datapaths().values())
    if not configuration:
        return [(found, each.name) for found in datapaths for each in found.configurations]
    if configuration == "small":
        return [(found, found.small) for found in datapaths]
    if is_pattern(configuration):
        matching = [
            (found, each.name)
            for found in datapaths
            for each in found.configurations
            if fnmatchcase(each.name, configuration)
        ]
        if matching:
            return matching
    holders = [found for found in datapaths if configuration in found.by_name]
    if not holders:
        # Every datapath says what it has; the first error is as good as any.
        datapaths[0].configuration(configuration)
    return [(found, configuration) for found in holders]


def is_pattern(configuration: str) -> bool:
    """Whether it may stand for several configurations."""
    return "*" in configuration


class SettingsParser(ArgumentParser):
    """Reads the settings of a ``make`` command; a wrong one is one line, without options."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"assay: {message.rpartition('argument ')[2].partition(': ')[2] or message}")


def positive(setting: str) -> Callable[[str], int]:
    """Reads a whole number of 1 or more from the command line; errors call it ``setting``."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise ArgumentTypeError(f"{setting} is {text!r}; allowed are 1 and more")
        return int(text)

    return read
