"""A combinational circuit evaluated for 64 rows of inputs at once: one machine word for each bit.

The circuit is taken apart to gates of one and two inputs (and multiplexers), and written with every
net 64 bits wide: row r of a block of 64 rows is bit r of every word. Inputs that are known
beforehand are made constants first, which leaves a smaller circuit.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.evaluate import Evaluator, evaluator_of, function_ports
from sim.paths import BUILD
from sim.ports import Port
from sim.tools import run_yosys, versions

WORD = 64
_GATES = {
    "$_NOT_": "~{A}",
    "$_AND_": "{A} & {B}",
    "$_OR_": "{A} | {B}",
    "$_XOR_": "{A} ^ {B}",
    "$_ANDNOT_": "{A} & ~{B}",
    "$_MUX_": "{A} ^ ({S} & ({A} ^ {B}))",
}
_ABC = "abc -g AND,OR,XOR,ANDNOT,MUX"
_TOP = "sliced"


def build_sliced(rtlil: str, constants: Mapping[str, int], outputs: Collection[str]) -> Evaluator:
    """The evaluator of exported RTLIL, of combinational logic, in slices.

    constants: values of some inputs; the others, and the ``outputs``, are ports of 64 bits, named
    by ``slice_names``. Raises ValueError for a circuit with registers or memories.
    """
    ports = {port.name: port for port in function_ports(rtlil)}
    unknown = [name for name in (*constants, *outputs) if name not in ports]
    if unknown:
        raise ValueError(f"no ports of the circuit: {', '.join(unknown)}")
    kept = [
        port
        for port in ports.values()
        if (port.name not in constants if port.is_input else port.name in outputs)
    ]
    text = rtlil + _wrapper(list(ports.values()), kept, constants)

    def build(unfinished: Path) -> None:
        source, netlist = unfinished / "sliced.il", unfinished / "sliced.json"
        source.write_text(text)
        commands = [
            *(f"read_rtlil {source}", f"hierarchy -check -top {_TOP}"),
            "setattr -mod -unset keep_hierarchy",
            *(f"synth -flatten -noabc -top {_TOP}", _ABC, "opt_clean", f"write_json {netlist}"),
        ]
        run_yosys(commands, unfinished / "yosys.log")
        module = json.loads(netlist.read_text())["modules"][_TOP]
        (unfinished / "top.v").write_text(_widened(module))

    key = fingerprint(text, fingerprint_files([Path(__file__)]), str(versions()))
    verilog = (build_once(BUILD / "sliced" / key, build) / "top.v").read_text()
    slices = tuple(Port(name, WORD, port.is_input) for port in kept for name in slice_names(port))

    def write(folder: Path) -> Path:
        target = folder / "top.v"
        target.write_text(verilog)
        return target

    return evaluator_of(verilog, slices, write)


def slice_names(port: Port) -> list[str]:
    """Names of the words that hold the bits of a port, least significant first."""
    return [f"{port.name}_{bit:02}" for bit in range(port.width)]


def to_slices(values: ArrayLike, width: int) -> NDArray[np.uint64]:
    """Words of shape (width, n / 64): bit r of word k of row i is bit i of ``values[64 * k + r]``.

    n must be a multiple of 64.
    """
    bits = np.asarray(values, dtype=np.uint64) >> np.arange(width, dtype=np.uint64)[:, None]
    return np.packbits((bits & 1).astype(np.uint8), axis=1, bitorder="little").view(np.uint64)


def from_slices(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The values that ``to_slices`` turned into words."""
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little").astype(np.uint64)
    return (bits << np.arange(len(words), dtype=np.uint64)[:, None]).sum(axis=0, dtype=np.uint64)


def _wrapper(ports: list[Port], kept: list[Port], constants: Mapping[str, int]) -> str:
    """A module around the circuit that has the kept ports and ties the constants."""
    lines = [f"module \\{_TOP}"]
    for number, port in enumerate(kept, start=1):
        direction = "input" if port.is_input else "output"
        lines.append(f"  wire width {port.width} {direction} {number} \\{port.name}")
    lines.append("  cell \\top \\circuit")
    for port in ports:
        if port.name in constants:
            lines.append(f"    connect \\{port.name} {_constant(port, constants[port.name])}")
        elif port in kept:
            lines.append(f"    connect \\{port.name} \\{port.name}")
    return "\n".join([*lines, "  end", "end", ""])


def _constant(port: Port, value: int) -> str:
    if not port.is_input or value < 0 or value >> port.width:
        raise ValueError(f"{port.name} cannot be made {value}")
    return f"{port.width}'{value:0{port.width}b}"


def _widened(module: Mapping[str, Any]) -> str:
    """Verilog of a flat module of gates in which every bit is a word."""
    word = f"[{WORD - 1}:0]"
    declared, body = [], []
    for name, port in module["ports"].items():
        is_input = port["direction"] == "input"
        names = slice_names(Port(name, len(port["bits"]), is_input))
        declared += [f"{port['direction']} {word} {each}" for each in names]
        for each, bit in zip(names, port["bits"], strict=True):
            body.append(
                f"wire {word} {_net(bit)} = {each};"
                if is_input
                else f"assign {each} = {_net(bit)};"
            )
    for cell in module["cells"].values():
        if cell["type"] == "$scopeinfo":  # remembers the hierarchy, and does nothing
            continue
        if cell["type"] not in _GATES:
            raise ValueError(
                f"a cell {cell['type']} is left: only combinational logic can be sliced"
            )
        pins = {pin: _net(bits[0]) for pin, bits in cell["connections"].items()}
        body.append(f"wire {word} {pins['Y']} = {_GATES[cell['type']].format(**pins)};")
    return "\n".join([f"module top({', '.join(declared)});", *body, "endmodule", ""])


def _net(bit: int | str) -> str:
    if bit == "x":
        raise ValueError("a net of the circuit is undefined")
    return f"n{bit}" if isinstance(bit, int) else f"{{{WORD}{{1'b{bit}}}}}"
