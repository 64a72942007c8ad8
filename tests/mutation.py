"""A small fault in the RTL, and the test that must find it."""

from dataclasses import dataclass

from sim.run import DEFAULT_SEED


@dataclass(frozen=True)
class Mutant:
    """A replacement in a file of ``hdl``, and the cocotb test that must find it."""

    fault: str
    file: str
    old: str
    new: str
    config: str
    found_by: str
    seed: int = DEFAULT_SEED
    datapath: str = "ent"
