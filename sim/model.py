"""From RTLIL to a program that simulates it."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cocotb_tools.config

from sim.cache import build_once, fingerprint, fingerprint_files
from sim.paths import BUILD
from sim.ports import Port, top_ports
from sim.tools import compiler, run, run_yosys, verilator_environment, verilator_root, versions

RUNTIME = Path(__file__).parent / "runtime"
OPTIMIZATION = "-O1"
#: Up to so many copies of a module are compiled faster in place than as a block of its own.
FEW = 8
#: Of what becomes part of a shared library. Models have the same symbols all, so they hide them.
SHARED = ("-fPIC", "-fvisibility=hidden")
#: Last line of a recording of ports that is complete.
TRAILER = "end"
# Amaranth's Verilog is correct by construction; these only question its style.
VERILATOR_FLAGS = [
    "--cc",
    "-O3",
    "--no-timing",
    "--x-assign",
    "fast",
    "--prefix",
    "Vdesign",
    "--top-module",
    "top",
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    "-Wno-UNOPTFLAT",
    # The time that compiling a function takes grows faster than the function.
    "--output-split-cfuncs",
    "500",
]
_KEPT_MODULE = re.compile(r"attribute \\keep_hierarchy 1\n(?:attribute .*\n)*module \\(\S+)\n")


def write_verilog(rtlil: str, folder: Path) -> Path:
    """``top.v`` in ``folder``, equal to the exported design."""
    source, target = folder / "top.il", folder / "top.v"
    source.write_text(rtlil)
    commands = [
        f"read_rtlil {source}",
        "hierarchy -check -top top",
        "proc",
        f"write_verilog -noattr -norename {target}",
    ]
    run_yosys(commands, folder / "yosys.log")
    return target


def build_simulator(rtlil: str, folder: Path, *, waves: bool = False) -> Path:
    """A program that runs cocotb testbenches on the design; cached in ``folder`` by content."""

    def build(unfinished: Path) -> None:
        ports = top_ports(rtlil)
        verilog = write_verilog(rtlil, unfinished)
        public = "\n".join(f'public_flat_rw -module "top" -var "{port.name}"' for port in ports)
        # Blocks are not traced inside, so a build for waves goes without them.
        blocks = [] if waves else _repeated_modules(rtlil)
        flags = ["--vpi", *(["--trace-fst", "--trace-structs"] if waves else [])]
        objects = compile_model(verilog, ports, unfinished, flags, blocks, public)
        libraries = cocotb_tools.config.libs_dir
        run(
            [
                *(compiler(), *objects, RUNTIME / "design.cpp", *include_flags(unfinished, waves)),
                *(OPTIMIZATION, runtime_library(waves)),
                *(f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lcocotbvpi_verilator"),
                *("-pthread", "-o", unfinished / "simulator"),
            ],
            log=unfinished / "compile.log",
        )

    key = fingerprint(rtlil, _build_fingerprint(), str(waves))
    return build_once(folder / key, build) / "simulator"


def compile_model(
    verilog: Path,
    ports: tuple[Port, ...],
    folder: Path,
    flags: list[str],
    blocks: list[str],
    configuration: str = "",
    options: tuple[str, ...] = (),
) -> list[Path]:
    """Verilate ``verilog`` and compile the model; modules in ``blocks`` are compiled only once.

    options: further ones of the compiler.
    """
    lines = ["`verilator_config", *(f'hier_block -module "{block}"' for block in blocks)]
    control = folder / "design.vlt"
    control.write_text("\n".join([*lines, configuration, ""]))
    model = folder / "model"
    run(
        [
            verilator_root() / "bin" / "verilator_bin",
            *VERILATOR_FLAGS,
            *flags,
            *(["--hierarchical"] if blocks else []),
            *("--Mdir", model, control, verilog),
        ],
        log=folder / "verilator.log",
        environment=verilator_environment(),
    )
    (folder / "ports.h").write_text(_ports_header(ports))
    waves = "--trace-fst" in flags
    parts = [model, *(model / f"V{block}" for block in blocks)]
    pieces = [(part, is_slow) for part in parts for is_slow in (False, True)]
    with ThreadPoolExecutor() as pool:
        objects = pool.map(lambda piece: _compile_piece(piece[0], piece[1], waves, options), pieces)
        return [each for each in objects if each]


def _compile_piece(
    folder: Path, is_slow: bool, waves: bool, options: tuple[str, ...]
) -> Path | None:
    """Half of a model in one go: what runs in every cycle, or what runs once (``Slow``)."""
    sources = [each for each in folder.glob("*.cpp") if each.stem.endswith("__Slow") == is_slow]
    if not sources:
        return None
    together = folder / ("slow.cc" if is_slow else "fast.cc")
    together.write_text("".join(f'#include "{source.name}"\n' for source in sorted(sources)))
    target = together.with_suffix(".o")
    level = ["-O0" if is_slow else OPTIMIZATION, *options]
    flags = [*level, *include_flags(folder, waves)]
    log = together.with_suffix(".log")
    run([compiler(), *flags, "-c", together, "-o", target], log=log)
    return target


def runtime_library(waves: bool = False) -> Path:
    """Verilator's runtime and cocotb's main program, compiled once for all designs."""
    include = verilator_root() / "include"
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    names = ["verilated", "verilated_vpi", "verilated_dpi", "verilated_threads"]
    sources = [*(include / f"{name}.cpp" for name in names), main]
    if waves:
        sources.append(include / "verilated_fst_c.cpp")

    def build(unfinished: Path) -> None:
        def compile_one(source: Path) -> Path:
            target = unfinished / f"{source.stem}.o"
            run(
                [compiler(), "-O2", *include_flags(RUNTIME, waves), "-c", source, "-o", target],
                log=unfinished / f"{source.stem}.log",
            )
            return target

        with ThreadPoolExecutor() as pool:
            objects = list(pool.map(compile_one, sources))
        # One relocatable object keeps cocotb's main, which nothing refers to.
        run(
            [compiler(), "-r", "-nostdlib", "-o", unfinished / "runtime.o", *objects],
            log=unfinished / "link.log",
        )

    key = fingerprint(_build_fingerprint(), str(waves))
    return build_once(BUILD / "runtime" / key, build) / "runtime.o"


def replay_library() -> Path:
    """Verilator's runtime without cocotb, for a program or a shared library."""
    include = verilator_root() / "include"

    def build(unfinished: Path) -> None:
        objects = []
        for name in ("verilated", "verilated_dpi", "verilated_threads"):
            objects.append(unfinished / f"{name}.o")
            command = [compiler(), "-O2", *SHARED, *include_flags(RUNTIME, False), "-c"]
            run(
                [*command, include / f"{name}.cpp", "-o", objects[-1]],
                log=unfinished / f"{name}.log",
            )
        run(
            [compiler(), "-r", "-nostdlib", "-o", unfinished / "runtime.o", *objects],
            log=unfinished / "link.log",
        )

    key = fingerprint(_build_fingerprint(), "replay")
    return build_once(BUILD / "runtime" / key, build) / "runtime.o"


def _repeated_modules(rtlil: str) -> list[str]:
    """Modules kept as blocks that occur so often that compiling them apart saves time."""
    return [
        name
        for name in _KEPT_MODULE.findall(rtlil)
        if len(re.findall(rf"^  cell \\{re.escape(name)} ", rtlil, re.MULTILINE)) > FEW
    ]


def include_flags(folder: Path, waves: bool) -> list[str | Path]:
    include = verilator_root() / "include"
    defines = {"VM_COVERAGE": 0, "VM_SC": 0, "VM_TIMING": 0}
    defines |= {"VM_TRACE": int(waves), "VM_TRACE_FST": int(waves)}
    folders = [folder, folder / "model", RUNTIME, include, include / "vltstd"]
    if waves:  # headers of lz4 and zlib for the FST writer; first, so that no others are taken
        folders.insert(0, RUNTIME / "fst")
    return [
        "-std=gnu++17",
        *(f"-D{name}={value}" for name, value in defines.items()),
        *(f"-I{path}" for path in folders),
    ]


def _ports_header(ports: tuple[Port, ...]) -> str:
    recorded = [port for port in ports if port.name != "clk"]
    header = " ".join(f"{port.name}:{port.width}" for port in recorded)
    groups = {
        "ASSAY_INPUTS": [port.member for port in recorded if port.is_input],
        "ASSAY_OUTPUTS": [port.member for port in recorded if not port.is_input],
    }
    lines = [f'#define ASSAY_HEADER "{header}\\n"', f'#define ASSAY_TRAILER "{TRAILER}\\n"']
    # A circuit without a reset is comparable from the start.
    has_reset = any(port.name == "rst" for port in recorded)
    lines.append(f"#define ASSAY_RESET {'model->rst' if has_reset else 'true'}")
    for name, members in groups.items():
        lines.append(f"#define {name}(DO) " + " ".join(f"DO({member})" for member in members))
    return "\n".join([*lines, ""])


def _build_fingerprint() -> str:
    sources = fingerprint_files([RUNTIME, Path(__file__)])
    return fingerprint(sources, str(versions()), compiler(), str(VERILATOR_FLAGS))
