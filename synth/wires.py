"""Capacitance of wires before there is a layout, by a stated model: in the energy, not in timing.

Each connection of a net, from its driver to one of the pins or output ports it drives, has the
same length, in pitches of a cell: the side of the square that a mean cell takes in a layout.
"""

from collections import Counter
from collections.abc import Mapping
from math import sqrt
from typing import Any

from synth.library import Library

#: fF/µm of signal wires: 0.172 in sky130hd, 0.173 in sg13g2, fitted to extracted layouts by
#: OpenROAD-flow-scripts (``set_wire_rc -signal`` in ``flow/platforms/*/setRC.tcl``). As thickness
#: and spacing shrink together, it is about the same in any process.
WIRE_FF_PER_UM = 0.172
#: Cells' part of a layout's area: 0.56 in OpenROAD's routed JPEG encoder for sky130hd, a datapath
#: of multipliers and adders (``flow/designs/sky130hd/jpeg/metadata-base-ok.json``).
UTILISATION = 0.56
#: The same layout has 1,074,219 µm of wire in 45,909 nets on 806,799 µm²: 5.6 pitches a net, each
#: with about 2.3 connections, as in this project's netlists. The wire-load table ``1k`` of the
#: SG13G2 library says 9.9 to 11.9 µm a connection: 2.2 to 2.6 pitches of a mean cell of 12 µm².
PITCHES_PER_CONNECTION = 2.5


def connection_ff(module: Mapping[str, Any], library: Library) -> float:
    """fF of the wire of one connection in a flat module of Yosys' JSON."""
    kinds = Counter(instance["type"] for instance in module["cells"].values())
    counts = {library.cells[kind]: count for kind, count in kinds.items() if kind in library.cells}
    if not counts:
        return 0.0
    area = sum(cell.area_um2 * count for cell, count in counts.items())
    pitch = sqrt(area / sum(counts.values()) / UTILISATION)
    return PITCHES_PER_CONNECTION * pitch * WIRE_FF_PER_UM


def connections(module: Mapping[str, Any], library: Library) -> Counter[int]:
    """How many pins and output ports each net drives; of cells, those of the library."""
    found: Counter[int] = Counter()
    for port in module["ports"].values():
        if port["direction"] == "output":
            found.update(bit for bit in port["bits"] if isinstance(bit, int))
    for instance in module["cells"].values():
        if cell := library.cells.get(instance["type"]):
            for pin in cell.inputs:
                bits = instance["connections"].get(pin.name, ())
                found.update(bit for bit in bits if isinstance(bit, int))
    return found
