"""What one instance of each block costs, in exact agreement with the whole made of them."""

import re
from collections.abc import Mapping, Sequence

from synth.blocks import Block, instances
from synth.drivers import Drivers, drivers_um2
from synth.library import Library
from synth.mapping import Try
from synth.netlist import MEMORY, Netlist, cell_area, memories

#: µm² by which an area may be off for being rounded, for each instance.
_ROUNDING = 1e-3
#: Parameters of a memory that make up its bits.
_SIZES = ("WIDTH", "SIZE")


def block_costs(
    blocks: Sequence[Block],
    chosen: Mapping[str, Try],
    netlist: Netlist,
    library: Library,
    drivers: Drivers | None = None,
) -> dict[str, dict[str, float]]:
    """By block: instances, area_um2 and sram_bits of one of them, without the blocks inside.

    A block has the buffers behind its outputs.
    area_um2 is of the cells, without memories; sram_bits of what stayed a memory. Raises
    ValueError unless the instances' areas add up to that of ``netlist``.
    """
    found: dict[str, dict[str, float]] = {}
    texts = {block.name: block.text for block in blocks}
    for name, count in instances(blocks).items():
        bits = sum(memory.bits for memory in memories(_part(netlist, name)))
        found[name] = {
            "instances": count,
            "area_um2": chosen[name].area_um2 + drivers_um2(drivers or {}, name, texts[name]),
            "sram_bits": bits / count if count else 0,
        }
    parts = sum(each["instances"] * each["area_um2"] for each in found.values())
    whole = sum(cell_area(netlist.flat, library).values())
    if abs(parts - whole) > _ROUNDING * sum(each["instances"] for each in found.values()):
        raise ValueError(f"the blocks add up to {parts:.2f} µm², the whole has {whole:.2f} µm²")
    return found


def _part(netlist: Netlist, block: str) -> dict[str, dict]:
    """The cells that come from one block."""
    cells = netlist.flat["cells"]
    return {
        "cells": {
            name: cell for name, cell in cells.items() if cell["attributes"].get("block") == block
        }
    }


def memory_bits(rtlil: str) -> int:
    """Bits of the memories in the RTLIL of a mapped block."""
    bits = 0
    for cell in rtlil.split(f"  cell {MEMORY} ")[1:]:
        width, size = (re.search(rf"parameter \\{name} (\d+)\n", cell) for name in _SIZES)
        assert width and size
        bits += int(width[1]) * int(size[1])
    return bits
