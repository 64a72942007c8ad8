"""Memories stay memories in a mapped netlist, whatever their read ports do."""

from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from hdl.export import export
from synth.blocks import cut
from synth.cost import LIBRARIES
from synth.libraries import load_library
from synth.mapping import map_block
from synth.netlist import compose, memories, unmapped


class Table(Component):
    """Eight words of five bits, read in the same cycle or in the next one."""

    word: In(5)
    write: In(1)
    where: In(3)
    address: In(3)
    found: Out(5)

    def __init__(self, domain: str) -> None:
        self.domain = domain
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=5, depth=8, init=[])
        write, read = memory.write_port(), memory.read_port(domain=self.domain)
        m.d.comb += [
            *(write.addr.eq(self.where), write.data.eq(self.word), write.en.eq(self.write)),
            *(read.addr.eq(self.address), self.found.eq(read.data)),
        ]
        return m


@pytest.mark.parametrize("domain", ["comb", "sync"])
def test_a_memory_is_written_as_one(tmp_path: Path, domain: str) -> None:
    """Constants at its ports, such as the enable of a read in the same cycle, are no tie cells."""
    library, liberty = load_library("sky130hd", LIBRARIES)
    (block,) = cut(export(Table(domain)))
    mapped = map_block(block, False, 4500.0, library, liberty, tmp_path / "mappings")
    netlist = compose({"top": mapped.file(mapped.tries[0])}, library, tmp_path)
    assert [memory.bits for memory in memories(netlist.flat)] == [40]
    assert not unmapped(netlist.flat, library)
    verilog = netlist.verilog.read_text()
    assert "[4:0]" in verilog and "[7:0]" in verilog
    assert library.tie_high[0].name not in verilog.partition("endmodule")[0]
