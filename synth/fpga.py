"""``make fpga``: what a configuration takes of an FPGA, and how fast it is there."""

import argparse
import os
import sys
import time
from dataclasses import asdict, dataclass

from hdl.datapath import Datapath, find_datapath
from sim import results
from sim.cache import locked
from sim.console import Column, LiveTable, run_command
from sim.paths import configuration_folder
from sim.ports import top_ports
from sim.run import SimulationResult, stimulus_file
from sim.selection import SettingsParser, positive, select
from sim.tools import ToolError
from synth.cost import NotVerifiedError, verified
from synth.fpga_netlist import check, map_to_cells
from synth.fpga_place import DEVICE, FLIP_FLOP, SEEDS, Placement, place_all, tool_version
from synth.replay import ReplayError

#: Bits of a distributed RAM that shares its write port's logic.
_BITS_OF_RAM = 64


@dataclass(frozen=True)
class FpgaCost:
    """A configuration on an FPGA, placed and routed.

    lut4: look-up tables of four inputs, those of adders and distributed RAMs included; flip_flops,
    block_rams (18 Kibit) and multipliers (18 × 18 bits): cells of the device; ram_bits: in
    distributed RAM. All without the registers that stand for the ports. fmax_mhz: of the best
    seed; fmax_by_seed: of all. critical_path: where the best one's begins and ends; wires: their
    part of its delay. work_per_second: at fmax_mhz. netlist_checks: outputs of the mapped netlist
    compared with the simulation. circuit: as in ``SimulationResult``.
    """

    datapath: str
    config: str
    device: str
    tool: str
    lut4: int
    flip_flops: int
    block_rams: int
    multipliers: int
    ram_bits: int
    fmax_mhz: float
    fmax_by_seed: dict[str, float]
    critical_path: list[str]
    wires: float
    work_per_second: float
    unit: str
    netlist_checks: int
    circuit: str

    @property
    def spread(self) -> float:
        """How much slower the worst seed is, as a part of the best one's frequency."""
        return 1 - min(self.fmax_by_seed.values()) / self.fmax_mhz


def fpga_cost(datapath: Datapath, name: str, jobs: int) -> FpgaCost:
    """Map a configuration to an FPGA's cells, replay the netlist, and place and route it.

    Raises NotVerifiedError if its simulation fails, ReplayError if the netlist differs from it,
    ToolError if it does not fit.
    """
    simulated, rtlil = verified(datapath, name)
    netlist = map_to_cells(rtlil)
    folder = configuration_folder(datapath.name, name) / "fpga"
    with locked(folder / ".lock"):
        # Nothing is placed that was not checked.
        checks = check(netlist, top_ports(rtlil), stimulus_file(simulated), folder)
    return _cost(simulated, checks, place_all(netlist, jobs))


def _cost(simulated: SimulationResult, checks: int, placed: list[Placement]) -> FpgaCost:
    """placed: the fastest first."""
    best = placed[0]
    by_seed = {each.seed: each.fmax_mhz for each in placed}
    return FpgaCost(
        datapath=simulated.datapath,
        config=simulated.config,
        device=DEVICE,
        tool=tool_version(),
        lut4=best.used["TRELLIS_COMB"],
        flip_flops=best.used[FLIP_FLOP],
        block_rams=best.used["DP16KD"],
        multipliers=best.used["MULT18X18D"],
        ram_bits=_BITS_OF_RAM * best.used["TRELLIS_RAMW"],
        fmax_mhz=best.fmax_mhz,
        fmax_by_seed={str(seed): fmax for seed, fmax in sorted(by_seed.items())},
        critical_path=list(best.path),
        wires=best.wires,
        work_per_second=simulated.work_per_cycle * best.fmax_mhz * 1e6,
        unit=simulated.unit,
        netlist_checks=checks,
        circuit=simulated.circuit,
    )


def main() -> int:
    options = _parse()
    try:
        chosen = select(options.datapath, options.config or "small")
    except ValueError as error:
        print(f"assay: {error}", file=sys.stderr)
        return 2
    started = time.monotonic()
    print(f"device: {DEVICE}; nextpnr-ecp5 {tool_version()}; best of {len(SEEDS)} seeds")
    found, failed = _place_chosen([(path.name, name) for path, name in chosen], options.jobs)
    checks = sum(each.netlist_checks for each in found)
    print(
        f"{len(found)} of {len(chosen)} configurations placed and routed, "
        f"{checks:,} outputs of their netlists replayed and identical, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="make fpga", description=__doc__)
    parser.add_argument("--datapath", default="")
    parser.add_argument("--config", default="")
    parser.add_argument("--jobs", type=positive("JOBS"), default=os.cpu_count() or 1)
    return parser.parse_args()


def _place_chosen(chosen: list[tuple[str, str]], jobs: int) -> tuple[list[FpgaCost], int]:
    columns = [
        Column("configuration", max(13, *(len(name) for _, name in chosen)), right=False),
        Column("LUT4", 7),
        Column("FF", 7),
        Column("EBR", 4),
        Column("DSP", 4),
        Column("RAM bits", 8),
        Column("Fmax MHz", 8),
        Column("spread", 7),
        Column("work/s", 13),
        Column("netlist checks", 14),
        Column("time", 8),
    ]
    found: list[FpgaCost] = []
    failed = 0
    with LiveTable(columns, len(chosen), "placing") as table:
        for datapath, name in chosen:
            started = time.monotonic()
            try:
                cost = fpga_cost(find_datapath(datapath), name, jobs)
            except (NotVerifiedError, ReplayError, ToolError, ValueError) as error:
                failed += 1
                table.add([name, "failed", *[""] * (len(columns) - 2)], style="red")
                message = f"{type(error).__name__}: {error}"
                table.note(message.replace("\n", "\n  "), style="red")
                table.note(f"again: make fpga DATAPATH={datapath} CONFIG={name}")
                continue
            found.append(cost)
            results.update("fpga", [asdict(cost)])  # at once: the next one may take hours
            table.add([*cells(cost), f"{time.monotonic() - started:.1f} s"])
            table.note(longest_path(cost))
    return found, failed


def cells(cost: FpgaCost) -> list[str]:
    """A line of the table, without the time it took."""
    return [
        cost.config,
        f"{cost.lut4:,}",
        f"{cost.flip_flops:,}",
        f"{cost.block_rams:,}",
        f"{cost.multipliers:,}",
        f"{cost.ram_bits:,}",
        f"{cost.fmax_mhz:.1f}",
        f"{-cost.spread:.1%}",
        f"{cost.work_per_second / 1e9:.3f} G{cost.unit}",
        f"{cost.netlist_checks:,}",
    ]


def longest_path(cost: FpgaCost) -> str:
    start, end = cost.critical_path
    return (
        f"longest path: {1000 / cost.fmax_mhz:.1f} ns, {cost.wires:.0%} of it in wires, "
        f"from {start} to {end}"
    )


if __name__ == "__main__":
    run_command(main)
