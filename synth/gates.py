"""A mapped netlist as gates with truth tables and registers, for a simulator without a compiler."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hdl.export import TOP
from sim.tools import run_yosys
from synth.function import Function, parse
from synth.library import Cell, Library, Register
from synth.netlist import CLOCK, MEMORY, read_module

#: The table of a gate is 64 bits.
MOST_INPUTS = 6

#: Yosys' own gates, to which memories are taken apart.
_GATES = {
    "$_BUF_": "A",
    "$_NOT_": "!A",
    "$_AND_": "A&B",
    "$_NAND_": "!(A&B)",
    "$_OR_": "A|B",
    "$_NOR_": "!(A|B)",
    "$_XOR_": "A^B",
    "$_XNOR_": "!(A^B)",
    "$_ANDNOT_": "A&!B",
    "$_ORNOT_": "A|!B",
    "$_MUX_": "(S&B)|(!S&A)",
}
_FUNCTIONS = {kind: parse(text) for kind, text in _GATES.items()}
_INVERTER = parse("!A")
_FLIP_FLOP = "$_DFF_P_"
_CONSTANTS = {"0": 0, "1": 1, "x": 0, "z": 0}

#: A pin: the cell's name, and its own.
Pin = tuple[str, str]
#: Nets by pin: numbers, or levels as text.
Pins = Mapping[str, int | str]


class UnsupportedError(ValueError):
    """The netlist has what is not simulated here; the message names it."""


class Gate(NamedTuple):
    """Bit ``n`` of ``table`` is the output if input ``i`` has the value of bit ``i`` of ``n``."""

    table: int
    output: int
    inputs: tuple[int, ...]


class FlipFlop(NamedTuple):
    """Takes ``data`` over at each rising edge of the clock."""

    output: int
    data: int
    initial: int


class Circuit:
    """A flat module of Yosys' JSON. Values have numbers; 0 and 1 are the constants.

    values: of the nets. outputs: of the cells, connected or not. watched: of inputs that take
    energy while the outputs are still, with these outputs. data: of registers' inputs, clock
    apart. gates: each behind those that drive it.

    Raises UnsupportedError for a clock that is gated, or a register that is reset without it.
    """

    def __init__(self, module: Mapping[str, Any], library: Library) -> None:
        self.size = 2
        self.values: dict[int, int] = {}
        self.outputs: dict[Pin, int] = {}
        self.watched: dict[Pin, tuple[int, list[int]]] = {}
        self.data: dict[Pin, int] = {}
        self.flip_flops: list[FlipFlop] = []
        self._clock = module["ports"].get(CLOCK, {"bits": [None]})["bits"][0]
        self._levels = constant_nets(module, library)
        self._initial = _initial_values(module)
        self._gates = [Gate(1, 1, ())]
        for name, instance in module["cells"].items():
            kind = instance["type"]
            pins: Pins = {pin: bits[0] for pin, bits in instance["connections"].items() if bits}
            if cell := library.cells.get(kind):
                self._add(name, cell, pins)
            elif kind in _FUNCTIONS:
                self._gate(_FUNCTIONS[kind], pins, self.value(pins["Y"]))
            elif kind == _FLIP_FLOP:
                initial = self._initial.get(pins["Q"], 0)
                flip_flop = FlipFlop(self.value(pins["Q"]), self.value(pins["D"]), initial)
                self.flip_flops.append(flip_flop)
            elif kind != "$scopeinfo":
                raise UnsupportedError(f"cells of type {kind} are not simulated")
        self.gates = _in_order(self._gates)

    def value(self, net: int | str | None) -> int:
        """The number of a net's value; a new one for a pin that is not connected."""
        if isinstance(net, str):
            return _CONSTANTS[net]
        if net is None:
            self.size += 1
            return self.size - 1
        if net not in self.values:
            self.values[net] = self.value(None)
        return self.values[net]

    def _add(self, name: str, cell: Cell, pins: Pins) -> None:
        outputs = [self.value(pins.get(pin.name)) for pin in cell.outputs]
        for pin, value in zip(cell.outputs, outputs, strict=True):
            self.outputs[name, pin.name] = value
        if cell.register:
            self._add_register(name, cell, cell.register, pins)
            return
        for pin, value in zip(cell.outputs, outputs, strict=True):
            assert pin.function is not None
            self._gate(pin.function, pins, value)
        for pin in cell.inputs:
            if pin.energy_fj and pin.name in pins:
                self.watched[name, pin.name] = self.value(pins[pin.name]), outputs

    def _add_register(self, name: str, cell: Cell, register: Register, pins: Pins) -> None:
        if pins.get(register.clock) != self._clock or not register.rising:
            raise UnsupportedError(f"register {name} does not follow the rising edge of {CLOCK}")
        for pin, level in register.ties.items():
            net = pins.get(pin, "")
            if str(self._levels.get(net, net)) != str(level):
                raise UnsupportedError(f"register {name} can be reset without the clock")
        data = self.value(None)
        self._gate(register.next_state, pins, data)
        state = self.outputs.get((name, register.output or ""))
        if state is None:
            state = self.value(None)
        if (name, register.inverted_output) in self.outputs:
            inverted = self.outputs[name, register.inverted_output or ""]
            self._gates.append(Gate(_table(_INVERTER)[0], inverted, (state,)))
        self.flip_flops.append(FlipFlop(state, data, 0))
        for each in cell.inputs:
            if each.name in pins and each.name != register.clock:
                self.data[name, each.name] = self.value(pins[each.name])

    def _gate(self, function: Function, pins: Pins, output: int) -> None:
        table, names = _table(function)
        if len(names) > MOST_INPUTS:
            raise UnsupportedError(f"function {function} has more than {MOST_INPUTS} inputs")
        inputs = tuple(self.value(pins.get(name, "0")) for name in names)
        self._gates.append(Gate(table, output, inputs))


def constant_nets(module: Mapping[str, Any], library: Library) -> dict[int | str, str]:
    """The level of each net that a tie cell drives."""
    ties = {
        (cell.name, pin.name): str(pin.function.evaluate({}))
        for cell in library.cells.values()
        for pin in cell.outputs
        if not cell.register and pin.function is not None and not pin.function.variables
    }
    return {
        net: ties[instance["type"], pin]
        for instance in module["cells"].values()
        for pin, bits in instance["connections"].items()
        if (instance["type"], pin) in ties
        for net in bits
    }


def without_memories(
    module: Mapping[str, Any], library: Library, folder: Path
) -> Mapping[str, Any]:
    """The module with its memories taken apart to flip-flops and gates of Yosys."""
    levels = constant_nets(module, library)

    def untied(instance: Mapping[str, Any]) -> Mapping[str, Any]:
        """With constants at the pins of a memory, as Yosys wants them, not tie cells."""
        pins = {
            pin: [levels.get(bit, bit) for bit in bits]
            for pin, bits in instance["connections"].items()
        }
        return {**instance, "connections": pins} if instance["type"] == MEMORY else instance

    cells = {name: untied(instance) for name, instance in module["cells"].items()}
    before, after = folder / "with-memories.json", folder / "without-memories.json"
    before.write_text(json.dumps({"modules": {TOP: {**module, "cells": cells}}}))
    commands = [
        *(f"read_json {before}", "memory_map", "opt_clean", "techmap", "opt_clean"),
        *(f"dfflegalize -cell {_FLIP_FLOP} 01", "opt_clean", f"write_json {after}"),
    ]
    run_yosys(commands, folder / "memories.log")
    found = read_module(after, TOP)
    before.unlink()
    after.unlink()
    return found


def _initial_values(module: Mapping[str, Any]) -> dict[int | str, int]:
    """Of flip-flops that a memory was made of; those of the library have none."""
    found: dict[int | str, int] = {}
    for each in module.get("netnames", {}).values():
        if init := each.get("attributes", {}).get("init"):
            levels = (_CONSTANTS[level] for level in reversed(init))
            found |= dict(zip(each["bits"], levels, strict=False))
    return found


@cache
def _table(function: Function) -> tuple[int, tuple[str, ...]]:
    """The truth table, and the pins that make up its index."""
    return function.truth_table(function.variables), function.variables


def _in_order(gates: Sequence[Gate]) -> list[Gate]:
    """Gates behind those that drive them; what can be, by the number of their inputs."""
    drivers = {gate.output: index for index, gate in enumerate(gates)}
    readers: list[list[int]] = [[] for _ in gates]
    waiting = []
    for index, gate in enumerate(gates):
        before = [drivers[value] for value in set(gate.inputs) if value in drivers]
        waiting.append(len(before))
        for driver in before:
            readers[driver].append(index)
    ordered: list[Gate] = []
    level = [index for index, count in enumerate(waiting) if count == 0]
    while level:
        # Loops of the same length, one after the other, are what a processor predicts.
        own = sorted(level, key=lambda index: len(gates[index].inputs))
        ordered += [gates[index] for index in own]
        level = []
        for index in own:
            for reader in readers[index]:
                waiting[reader] -= 1
                if waiting[reader] == 0:
                    level.append(reader)
    if len(ordered) < len(gates):
        raise UnsupportedError("the netlist has a combinational loop")
    return ordered
