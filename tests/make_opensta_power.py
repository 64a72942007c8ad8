"""Writes what OpenSTA says of the power of a small netlist: tests/opensta/.

    python tests/make_opensta_power.py FOLDER

FOLDER holds the full libraries (``sky130hd*.lib*``, ``sg13g2*.lib*``). Needs ``sta``, Debian's
package opensta 0~20191111 (OpenSTA 2.0.17). Its tests need neither. Wire-load models are taken out
of the libraries: of wires it is to know nothing.
"""

import gzip
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sim.tools import run_yosys
from synth.cost import LIBRARIES
from synth.liberty import read_liberty
from synth.libraries import builtin_names, dont_use_options, load_library
from synth.library import Library

PLACE = Path(__file__).parent / "opensta"
#: Transitions of every net but the clock in a cycle.
ACTIVITIES = (0.1, 0.4)
PERIOD_NS = 5.0
SLEW_NS = 0.05
LOAD_PF = 0.01

#: Registered at both ends: OpenSTA takes the activity of a cell by the clock of its pins.
SOURCE = """
module top(input clk, input [2:0] a, b, input clear, output reg [7:0] sum);
  reg [2:0] x, y;
  reg zero;
  always @(posedge clk) begin
    x <= a; y <= b; zero <= clear;
    sum <= zero ? 0 : sum + x * y;
  end
endmodule
"""


def larger_cells(library: Library) -> str:
    """Options of Yosys that leave cells of one output and at most two inputs, and flip-flops."""
    return " ".join(
        f"-dont_use {cell.name}"
        for cell in library.cells.values()
        if cell.register is None and (len(cell.inputs) > 2 or len(cell.outputs) > 1)
    )


def map_circuit(library: Library, liberty: Path, netlist: Path, folder: Path) -> None:
    (folder / "top.v").write_text(SOURCE)
    (high, one), (low, zero) = library.tie_high, library.tie_low
    commands = [
        *(f"read_verilog {folder / 'top.v'}", "synth -flatten -top top"),
        f"dfflibmap {dont_use_options()} -liberty {liberty}",
        f"abc {dont_use_options()} {larger_cells(library)} -liberty {liberty} "
        "-script +strash;dch,-f;amap",
        *(f"hilomap -singleton -hicell {high.name} {one} -locell {low.name} {zero}", "opt_clean"),
        *("splitnets -ports", "rename -enumerate", "opt_clean -purge"),
        f"write_verilog -noattr -noexpr -nohex {netlist}",
    ]
    run_yosys(commands, folder / "yosys.log")
    # A line for each cell; of wires, only ports are declared.
    text = re.sub(r"/\*.*?\*/|^  wire .*?;", "", netlist.read_text(), flags=re.DOTALL | re.M)
    statements = (" ".join(each.split()) for each in text.split(";"))
    netlist.write_text(" ;\n".join(statements).replace("; endmodule", "").strip() + "\n")


def without_wires(file: Path) -> str:
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode()
    return re.sub(r"^\s*default_wire_load\w*\s*:.*$", "", text, flags=re.MULTILINE)


def powers(liberty: Path, netlist: Path, activity: float, folder: Path) -> dict[str, list[float]]:
    """Internal, switching and leakage power in W: of registers, and of all other cells."""
    script = folder / "power.tcl"
    script.write_text(
        f"read_liberty {liberty}\n"
        f"read_verilog {netlist}\n"
        "link_design top\n"
        f"create_clock -name clk -period {PERIOD_NS} [get_ports clk]\n"
        "set_input_delay 0 -clock clk [all_inputs]\n"
        f"set_input_transition {SLEW_NS} [all_inputs]\n"
        f"set_load -pin_load {LOAD_PF} [all_outputs]\n"
        f"set_power_activity -global -activity {activity} -duty 0.5\n"
        "report_power -digits 8\n"
        "exit\n"
    )
    done = subprocess.run(["sta", "-exit", script], capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        name, *numbers = line.split() or [""]
        if name in ("Sequential", "Combinational"):
            found[name.lower()] = [float(number) for number in numbers[:3]]
    if len(found) != 2 or "Error" in done.stdout:
        sys.exit(done.stdout + done.stderr)
    return found


def main() -> None:
    files = sorted(Path(sys.argv[1]).glob("*.lib*"))
    version = subprocess.run(["sta", "-version"], capture_output=True, text=True, check=True)
    PLACE.mkdir(exist_ok=True)
    made: dict = {
        "made by": "python tests/make_opensta_power.py FOLDER",
        "version": f"OpenSTA {version.stdout.strip()}",
        "watts": "internal, switching, leakage",
        "period_ns": PERIOD_NS,
        "libraries": {},
    }
    for name in builtin_names():
        (file,) = (file for file in files if file.name.startswith(name))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            full = folder / "full.lib"
            full.write_text(without_wires(file))
            netlist = PLACE / f"{name}.v"
            map_circuit(*load_library(name, LIBRARIES), netlist, folder)
            made["libraries"][name] = {
                "liberty": read_liberty(full, lambda _: False).name,
                "powers": {
                    str(activity): powers(full, netlist, activity, folder)
                    for activity in ACTIVITIES
                },
            }
    (PLACE / "power.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
