"""The section of the report on circuits placed and routed on an FPGA."""

from collections.abc import Sequence
from html import escape

from synth.evidence import Entry, grouped
from synth.markup import (
    NUMBER,
    TEXT,
    cell,
    count,
    labels,
    natural,
    number,
    paragraph,
    percent,
    signed_percent,
    table,
    with_prefix,
)

HEADINGS = [
    ("configuration", TEXT),
    ("LUT4", NUMBER),
    ("flip-flops", NUMBER),
    ("block RAMs", NUMBER),
    ("multipliers", NUMBER),
    ("distributed RAM bits", NUMBER),
    ("Fmax MHz", NUMBER),
    ("worst seed", NUMBER),
    ("seeds", NUMBER),
    ("work/s", NUMBER),
    ("longest path: from, to", TEXT),
    ("wires", NUMBER),
    ("netlist checks", NUMBER),
]


def on_fpga(entries: Sequence[Entry]) -> str:
    """A table for each datapath and device."""
    if not entries:
        return ""
    checks = sum(each["netlist_checks"] for each in entries)
    tools = ", ".join(sorted({each["tool"] for each in entries}))
    parts = [
        f"<h2>FPGA {labels('routed', 'simulated')}</h2>",
        paragraph(
            f"{count(len(entries), 'circuit')} mapped by Yosys, the mapped netlist replayed "
            f"against the simulation ({count(checks, 'output')} compared, all identical), then "
            f"placed and routed by nextpnr {tools}. Registers stand for the ports and are not "
            "counted. The best of several seeds.",
            "soft",
        ),
    ]
    ordered = sorted(entries, key=lambda each: natural(each["config"]))
    ordered.sort(key=lambda each: (each["datapath"], each["device"]))
    for (datapath, device), own in grouped(
        ordered, lambda each: (each["datapath"], each["device"])
    ):
        parts.append(f"<h3>{escape(datapath)}, {escape(device)}</h3>")
        parts.append(table(HEADINGS, (_row(each) for each in own)))
    return "\n".join(parts)


def _row(each: Entry) -> list[str]:
    seeds = each["fmax_by_seed"].values()
    return [
        cell(each["config"]),
        number(f"{each['lut4']:,}"),
        number(f"{each['flip_flops']:,}"),
        number(f"{each['block_rams']:,}"),
        number(f"{each['multipliers']:,}"),
        number(f"{each['ram_bits']:,}"),
        number(f"{each['fmax_mhz']:.1f}"),
        number(signed_percent(min(seeds) / each["fmax_mhz"])),
        number(f"{len(seeds)}"),
        number(with_prefix(each["work_per_second"], f"{each['unit']}/s")),
        cell(*each["critical_path"]),
        number(percent(each["wires"])),
        number(f"{each['netlist_checks']:,}"),
    ]
