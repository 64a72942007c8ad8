"""Ports of an exported design."""

import re
from dataclasses import dataclass

_PORT = re.compile(r"^  wire width (\d+) (input|output) \d+ +(?:signed )?\\(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Port:
    """One port of the top module."""

    name: str
    width: int
    is_input: bool

    @property
    def member(self) -> str:
        """Its name in Verilator's C++, which spells double underscores otherwise."""
        return self.name.replace("__", "___05F")


def top_ports(rtlil: str) -> tuple[Port, ...]:
    """Ports of module ``top``, inputs first, each group by name."""
    _, _, rest = rtlil.partition("module \\top\n")
    top, _, _ = rest.partition("\nend\n")
    ports = [
        Port(name, int(width), direction == "input")
        for width, direction, name in _PORT.findall(top)
    ]
    if not ports:
        raise ValueError("the exported design has no ports")
    return tuple(sorted(ports, key=lambda port: (not port.is_input, port.name)))
