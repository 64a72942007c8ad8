"""Cuts an exported design into blocks that are mapped on their own, each once.

A block is the top module, or a module the design keeps whole (a PE). What a block contains but
does not keep is flattened into it. Keeping PEs whole is what makes a comparison fair: flattened,
PEs that see the same operand would share their encoders, which is the idea under test.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hdl.export import TOP
from sim.cache import fingerprint

BLOCK = "block"
_MODULE = re.compile(r"^(?:attribute [^\n]*\n)*module \\(\S+)\n.*?^end\n", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^  cell \\(\S+) ", re.MULTILINE)
_PORT = re.compile(r"^  wire [^\n]*(?:input|output) \d[^\n]*\n", re.MULTILINE)
_KEEP = "attribute \\keep_hierarchy 1\n"


@dataclass(frozen=True)
class Block:
    """RTLIL of one block, its top module renamed to ``block``.

    kept: blocks inside, with the number of their instances; in ``text`` they are black boxes.
    key: fingerprint of what is mapped, without the blocks inside.
    """

    name: str
    text: str
    kept: dict[str, int]
    key: str


def cut(rtlil: str) -> list[Block]:
    """The blocks of a design, those inside others first, the top module last."""
    modules, kept = _modules(rtlil)
    return [_block(modules, name, kept) for name in (*sorted(kept), TOP)]


def cut_units(rtlil: str) -> list[Block]:
    """The blocks among modules that nothing holds yet: those of ``cut`` without the top."""
    modules, kept = _modules(rtlil)
    return [_block(modules, name, kept) for name in sorted(kept)]


def flatten(rtlil: str) -> str:
    """The design with nothing kept: a single block."""
    return rtlil.replace(_KEEP, "")


def instances(blocks: Sequence[Block]) -> dict[str, int]:
    """How often each block of a design occurs in the whole."""
    by_name = {block.name: block for block in blocks}

    def count(name: str) -> int:
        if name == TOP:
            return 1
        holders = (block for block in blocks if name in block.kept)
        return sum(block.kept[name] * count(block.name) for block in holders)

    return {name: count(name) for name in by_name}


def rename(text: str, old: str, new: str) -> str:
    """RTLIL with module ``old`` called ``new``."""
    return text.replace(f"module \\{old}\n", f"module \\{new}\n")


def _modules(rtlil: str) -> tuple[dict[str, str], set[str]]:
    """The modules of a design by name, and which of them are kept whole."""
    modules = {match[1]: match[0] for match in _MODULE.finditer(rtlil)}
    return modules, {name for name, text in modules.items() if _KEEP in text and name != TOP}


def _block(modules: dict[str, str], name: str, kept: set[str]) -> Block:
    inside = _reachable(modules, name, stop=kept - {name})
    own = [module for module in inside if module == name or module not in kept]
    cells = [kind for module in own for kind in _CELL.findall(modules[module])]
    present = {module: cells.count(module) for module in sorted(set(inside) - set(own))}
    text = rename(_join(modules, own), name, BLOCK).replace(_KEEP, "")
    ports = "".join(_interface(modules[module], module) for module in present)
    return Block(name, text + ports, present, fingerprint(text))


def _interface(text: str, name: str) -> str:
    """A black box with the ports of a module."""
    ports = "".join(_PORT.findall(text))
    return f"attribute \\blackbox 1\nmodule \\{name}\n{ports}end\n"


def _join(modules: dict[str, str], names: Iterable[str]) -> str:
    return "".join(modules[name] for name in sorted(names))


def _reachable(modules: dict[str, str], start: str, stop: set[str]) -> set[str]:
    """Modules inside ``start``, itself included; those in ``stop`` count, what they hold not."""
    found = {start}
    queue = [start]
    while queue:
        name = queue.pop()
        if name in stop:
            continue
        new = set(_CELL.findall(modules[name])) & modules.keys() - found
        found |= new
        queue += new
    return found
