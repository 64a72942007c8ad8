"""From RTLIL to a netlist of ECP5 cells, and the proof that it does what was simulated."""

import json
from pathlib import Path
from typing import Any

from hdl.export import TOP
from sim.cache import build_once, fingerprint, fingerprint_files
from sim.paths import BUILD
from sim.ports import Port
from sim.tools import run_yosys, versions
from synth.replay import replay

MAPPED = BUILD / "fpga" / "netlists"
MODELS = Path(__file__).with_name("fpga_models.v")
#: A look-up table as what Yosys has for one: a model of its own for each of thousands of contents
#: would take minutes.
_LUT = r"""
module LUT4(input A, B, C, D, output Z);
  parameter [15:0] INIT = 0;
  \$lut #(.WIDTH(4), .LUT(INIT)) table (.A({D, C, B, A}), .Y(Z));
endmodule
"""


def map_to_cells(rtlil: str) -> Path:
    """The design in ECP5 cells, flattened, as Yosys' JSON; mapped once for equal text.

    Block RAMs, distributed RAMs and multipliers are used where Yosys finds a use for them.
    """

    def build(unfinished: Path) -> None:
        source, target = unfinished / "design.il", unfinished / "netlist.json"
        source.write_text(rtlil)
        commands = [
            f"read_rtlil {source}",
            f"hierarchy -check -top {TOP}",
            "setattr -mod -unset keep_hierarchy *",
            f"synth_ecp5 -top {TOP} -json {target}",
        ]
        run_yosys(commands, unfinished / "yosys.log")
        # Without the interfaces of all the cells there are.
        write_netlist(read_netlist(target), target)

    key = fingerprint(rtlil, fingerprint_files([Path(__file__)]), str(versions()))
    return build_once(MAPPED / key, build) / "netlist.json"


def read_netlist(file: Path) -> dict[str, Any]:
    """The one module of a netlist, with its ports, cells and netnames."""
    module: dict[str, Any] = json.loads(file.read_text())["modules"][TOP]
    return module


def write_netlist(module: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps({"creator": "assay", "modules": {TOP: module}}))


def check(netlist: Path, ports: tuple[Port, ...], stimulus: Path, folder: Path) -> int:
    """How many outputs were compared when the netlist repeated a recorded run; all are identical.

    The cells do what Yosys' own models of them say, block RAMs and multipliers what those in
    ``fpga_models.v`` say. Files go to ``folder``. Raises ReplayError at the first difference, and
    ToolError for a cell or a mode of it that has no model.
    """
    luts, verilog = folder / "lut.v", folder / "netlist.v"
    luts.write_text(_LUT)
    commands = [
        f"read_json {netlist}",
        f"techmap -map {luts} t:LUT4",
        "read_verilog -D NO_INCLUDES +/ecp5/cells_sim.v",
        f"read_verilog -overwrite {MODELS}",
        f"hierarchy -check -top {TOP}",
        # Only what makes Verilog of the models: nothing that could mend a wrong netlist.
        *("proc", "flatten", "opt_clean", f"write_verilog -noattr -norename {verilog}"),
    ]
    run_yosys(commands, folder / "models.log")
    return replay(verilog, ports, [], stimulus, folder)
