"""Buffers behind outputs of blocks: where they are worth it, and nowhere else."""

import re
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out, Signature

from hdl.ent.stage import Stage
from hdl.export import Unit, export, place
from synth.block_costs import block_costs
from synth.blocks import cut
from synth.cost import LIBRARIES
from synth.drivers import FAIR, MOST, drivers_um2, find_drivers, with_drivers
from synth.fit import Whole
from synth.libraries import load_library
from synth.library import Library
from synth.mapping import Mappings, map_block
from synth.netlist import compose, hierarchy, unmapped
from synth.timing import critical_path

WIDTH = 3
MANY = 40
PORTS = {"clk": {"direction": "input", "bits": [2]}, "o": {"direction": "output", "bits": [3]}}


class Reader(Unit):
    """Something that keeps what it reads."""

    mapped_alone = True
    i: In(WIDTH)
    o: Out(WIDTH)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register = Signal(WIDTH, reset_less=True)
        m.d.sync += register.eq(self.i)
        m.d.comb += self.o.eq(register)
        return m


class Design(Component):
    """A register whose outputs many readers read."""

    def __init__(self, readers: int) -> None:
        self.readers = readers
        super().__init__(Signature({"i": In(WIDTH), "o": Out(readers)}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.stage = stage = place(platform, Stage, WIDTH)
        m.d.comb += stage.i.eq(self.i)
        for at in range(self.readers):
            reader = place(platform, Reader)
            m.submodules[f"reader_{at}"] = reader
            m.d.comb += [reader.i.eq(stage.o), self.o[at].eq(reader.o.xor())]
        return m


@pytest.fixture(scope="module", params=["sky130hd", "sg13g2"])
def process(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def library(process: str) -> Library:
    return load_library(process, LIBRARIES)[0]


def mapped(readers: int, process: str, folder: Path) -> list[Mappings]:
    library, liberty = load_library(process, LIBRARIES)
    blocks = cut(export(Design(readers)))
    return [map_block(each, False, 2000.0, library, liberty, folder / "m") for each in blocks]


def chosen(mappings: list[Mappings]) -> tuple:
    return tuple(min(each.tries, key=lambda one: one.area_um2) for each in mappings)


@pytest.mark.parametrize("readers", [1, MANY])
def test_what_drives_much_gets_a_buffer_and_is_faster(
    process: str, library: Library, tmp_path: Path, readers: int
) -> None:
    mappings = mapped(readers, process, tmp_path)
    plain = Whole(mappings, library, tmp_path)
    tries = chosen(mappings)
    modules = hierarchy(plain.files(tries), tmp_path)
    drivers = find_drivers(modules, library)
    if readers == 1:
        assert "stage" not in drivers
        return
    assert set(drivers["stage"]) == {"o"}
    buffer = drivers["stage"]["o"]
    driven = Whole(mappings, library, tmp_path, drivers=drivers)
    before, found = plain.fit(tries), driven.fit(tries)
    assert _arrival(found.netlist.flat, library) < _arrival(before.netlist.flat, library)
    assert not unmapped(found.netlist.flat, library)
    added = sum(
        drivers_um2(drivers, each.block.name, each.block.text)
        * (readers if each.block.name == "reader" else 1)
        for each in mappings
    )
    assert driven.area(tries) - plain.area(tries) == pytest.approx(added)
    blocks = [each.block for each in mappings]
    costs = block_costs(blocks, found.chosen, found.netlist, library, drivers)
    alone = found.chosen["stage"].area_um2
    assert costs["stage"]["area_um2"] == alone + WIDTH * buffer.area_um2
    with pytest.raises(ValueError, match="the blocks add up to"):
        block_costs(blocks, found.chosen, found.netlist, library)


def _arrival(flat: Any, library: Library) -> float:
    """When the last of the readers' registers has what the stage's have."""
    return critical_path(flat, library).register_to_register_ps


def test_every_bit_goes_through_its_own_buffer(
    process: str, library: Library, tmp_path: Path
) -> None:
    mappings = mapped(MANY, process, tmp_path)
    files = Whole(mappings, library, tmp_path).files(chosen(mappings))
    (source,), (target,) = library.buffers[0].inputs, library.buffers[0].outputs
    buffered = compose(files, library, tmp_path, {"stage": {"o": library.buffers[0]}})
    flat = buffered.flat
    stage = [each for each in flat["cells"].values() if each["attributes"]["block"] == "stage"]
    register = library.flip_flop.register
    assert register and register.output and register.data
    stored = {each["connections"].get(register.output, [None])[0] for each in stage}
    through = {
        each["connections"][target.name][0]: each["connections"][source.name][0]
        for each in stage
        if each["type"] == library.buffers[0].name
    }
    assert set(through.values()) == stored - {None}
    assert len(through) == WIDTH
    reads = [
        each["connections"][register.data][0]
        for each in flat["cells"].values()
        if each["attributes"]["block"] == "reader" and register.data in each["connections"]
    ]
    assert len(reads) == MANY * WIDTH
    assert [reads.count(net) for net in through] == [MANY] * WIDTH
    assert buffered.verilog.read_text().count(f"{library.buffers[0].name} ") >= WIDTH


def test_the_smallest_buffer_with_most_of_the_gain(library: Library) -> None:
    sizes = set()
    pin = library.inverter.inputs[0]
    for count in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        sinks = {
            str(at): {"type": library.inverter.name, "connections": {pin.name: [9]}}
            for at in range(count)
        }
        cell = {"type": "unit", "connections": {"o": [9]}}
        top = {"ports": {}, "cells": {**sinks, "unit": cell}}
        unit = {"ports": {"o": {"direction": "output", "bits": [5]}}, "cells": {}}
        found = find_drivers({"top": top, "unit": unit}, library).get("unit", {}).get("o")
        load = count * pin.capacitance_ff
        alone = _through(None, load, library)
        gained = {each: alone - _through(each, load, library) for each in library.buffers}
        best = max(gained.values())
        if found is None:
            assert max(gained.values()) < FAIR * alone
        else:
            assert gained[found] >= max(MOST * best, FAIR * alone)
            for each in library.buffers:
                smaller = each.area_um2 < found.area_um2
                assert not smaller or gained[each] < max(MOST * best, FAIR * alone)
        sizes.add(found)
    assert None in sizes
    assert len(sizes) > 1


def _through(buffer: Any, load: float, library: Library) -> float:
    """A register, a buffer and a load, timed as the inside of a block is."""
    register = library.flip_flop.register
    assert register and register.data and register.output
    ties = {pin: [str(value)] for pin, value in register.ties.items()}
    pins = {register.clock: [2], register.data: ["0"], register.output: [3], **ties}
    cells: dict[str, Any] = {"r": {"type": library.flip_flop.name, "connections": pins}}
    if buffer:
        pins[register.output] = [4]
        names = buffer.inputs[0].name, buffer.outputs[0].name
        cells["b"] = {"type": buffer.name, "connections": dict(zip(names, ([4], [3]), strict=True))}
    return critical_path({"ports": PORTS, "cells": cells}, library, output_load_ff=load).period_ps


def test_blocks_with_blocks_inside_get_none(library: Library) -> None:
    pin = library.inverter.inputs[0].name
    sinks = {
        str(at): {"type": library.inverter.name, "connections": {pin: [9]}} for at in range(200)
    }
    ports = {"o": {"direction": "output", "bits": [5]}}
    inner = {"type": "inner", "connections": {"o": [5]}}
    outer = {"type": "outer", "connections": {"o": [9]}}
    modules = {
        "top": {"ports": {}, "cells": {**sinks, "outer": outer}},
        "outer": {"ports": ports, "cells": {"inner": inner}},
        "inner": {"ports": ports, "cells": {}},
    }
    assert find_drivers(modules, library) == {}


def test_other_names_are_left_alone(library: Library) -> None:
    """Ports that begin alike, and a port of one bit."""
    rtlil = (
        "module \\unit\n  wire width 2 output 1 \\a\n  wire output 2 \\a_next\n"
        "  wire width 2 \\ab\n  connect \\a { \\a_next \\ab [0] }\n"
        "  connect \\a_next \\ab [1]\nend\n"
    )
    (source,) = library.buffers[0].inputs
    text = with_drivers(rtlil, {"a_next": library.buffers[0]})
    assert "wire width 2 output 1 \\a\n" in text
    assert "  wire output 2 \\a_next\n  wire \\a_next$undriven\n" in text
    assert "connect \\a { \\a_next$undriven \\ab [0] }" in text
    assert f"connect \\{source.name} \\a_next$undriven [0]" in text
    assert len(re.findall(r"^  cell ", text, re.MULTILINE)) == 1
    assert with_drivers(rtlil, {}) == rtlil
    # Bit by bit, in order.
    (target,) = library.buffers[0].outputs
    cells = with_drivers(rtlil, {"a": library.buffers[0]}).split("  cell ")[1:]
    assert len(cells) == 2
    for bit, cell in enumerate(cells):
        assert f"connect \\{source.name} \\a$undriven [{bit}]\n" in cell
        assert f"connect \\{target.name} \\a [{bit}]\n" in cell
