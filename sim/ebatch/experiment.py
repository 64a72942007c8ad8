"""Policies compared on one engine: throughput, latency, padding and loads of weights.

All figures are of the cycle model (``sim.ebatch.cycles``). Throughput is a fraction of what the
multipliers would do if every lane worked in every step and nothing waited: lanes / (cycles of a
step of all layers). Latency is in units of the mean service: the cycles in which a sequence of mean
length would go through all layers if nothing waited. r is how many steps of a layer take as long as
loading one. What was published stands beside it and is of other hardware and other networks.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from hdl.ebatch.parameters import Parameters
from sim.cache import write_atomically
from sim.console import Column, LiveTable, run_command
from sim.ebatch import arrivals, figures
from sim.ebatch.arrivals import SOURCES
from sim.ebatch.cycles import BlockRecord, CycleModel
from sim.ebatch.policies import POLICIES
from sim.ebatch.runtime import Record, Request, Session, serve
from sim.ebatch.timing import Memory, costs, timing
from sim.parallel import in_parallel
from sim.paths import configuration_folder
from sim.selection import SettingsParser, positive

#: Its parts are as long as their words: the lanes do not bound them.
ENGINE = Parameters(
    lanes=32, hidden_size=256, input_size=256, layers=4, max_steps=512, width=8, token_depth=64
)
REQUESTS, SEEDS = 6000, 3
RATIOS = (4, 8, 16)
LOADS = (0.1, 0.3, 0.5, 0.6, 0.8, 0.9, 0.95)
#: Latency is measured at this r.
LOAD_RATIO = 8
#: Of the requests, the first ones, that find an empty engine, do not count.
WARM_UP = 0.1
#: Mean services in which requests are to be done, for the rule that goes by it.
BOUND = 6
#: What is compared with what, and the published gains that resemble it.
CANDIDATE = "E-BATCH backlog"
BASELINES = ("static padded", "static bucketed", "cellular K=5")
PUBLISHED = (
    ("the state of the art, on E-PUR", 1.8, 3.6),
    ("the state of the art, on a TPU", 2.1, 1.6),
)
PUBLISHED_NOTE = "published, other hardware (arXiv:2009.10656)"
#: What the figure leaves out, to be readable.
NOT_DRAWN = ("blocks K=64, no concatenation", "E-BATCH K=16")


@dataclass(frozen=True)
class Energy:
    """pJ: of a bit that is read from or written to the memory of weights on the chip, of a bit that
    comes from outside, and of a multiply-accumulate. Nothing else is counted."""

    sram_bit: float
    dram_bit: float
    mac: float
    source: str

    def of_sequence(self, engine: Parameters, read: float, loaded: float) -> float:
        """nJ of so many words of weights, each of which is multiplied in every lane."""
        bits = 8 * engine.width
        reading = read * (bits * self.sram_bit + engine.width * engine.lanes * self.mac)
        return (reading + loaded * bits * (self.dram_bit + self.sram_bit)) / 1000


#: All of one process and one source.
ENERGY = Energy(
    sram_bit=100 / 64,
    dram_bit=1300 / 64,
    mac=0.2 + 0.1,
    source="M. Horowitz, Computing's energy problem, ISSCC 2014, 45 nm: 64 bits of a 1 MB SRAM "
    "100 pJ, of DRAM 1.3 to 2.6 nJ, of which the lower, an 8-bit multiplication 0.2 pJ, a 32-bit "
    "addition 0.1 pJ",
)


@dataclass(frozen=True)
class Plan:
    """What is run: the engine, the name of the lengths, and how many requests, how often."""

    engine: Parameters = ENGINE
    lengths: str = "short"
    requests: int = REQUESTS
    seeds: int = SEEDS
    loads: tuple[float, ...] = LOADS
    load_ratio: int = LOAD_RATIO
    trace: tuple[Request, ...] = ()


@dataclass(frozen=True)
class Row:
    """Figures of a policy.

    load: offered, as a fraction of what the lanes can do; None: all requests wait from the start.
    throughput, p50, p99: as the module says; latencies are None where the queue only grows.
    utilisation: useful lane-steps of all in blocks. padding: lane-steps without use, of those of
    lanes that had anything in their block. loads: layers loaded for 1,000 useful lane-layer-steps.
    dram_words, sram_words: words of weights loaded, and read, for a sequence of mean length;
    energy: nJ of both and of multiplying, by ``ENERGY``.
    """

    policy: str
    ratio: int
    load: float | None
    throughput: float
    utilisation: float
    padding: float
    loads: float
    dram_words: float
    sram_words: float
    energy: float
    p50: float | None
    p99: float | None


#: Of the engine's counters, and of ``CycleModel.taken_steps`` and ``occupied_steps``.
Counts = dict[str, int]


@dataclass
class _Meter:
    """Counts between the warm-up and the moment when nothing waits any more."""

    model: CycleModel
    requests: int
    first: Counts | None = None
    last: Counts | None = None

    def observe(self, session: Session) -> None:
        if self.first is None:
            if session.done >= WARM_UP * self.requests:
                self.first = self._now()
        elif self.last is None and session.until is None and not session.waiting:
            self.last = self._now()

    def _now(self) -> Counts:
        lanes = {"taken": self.model.taken_steps, "occupied": self.model.occupied_steps}
        return asdict(self.model.counters()) | lanes

    def counted(self) -> Counts:
        """Between the two; of the whole run if they are the same."""
        first, last = self.first, self.last or self._now()
        if first is None or first["taken"] == last["taken"]:
            return self._now()
        return {name: value - first[name] for name, value in last.items()}


def step_cycles(engine: Parameters) -> int:
    """Of all layers."""
    return sum(engine.step_cycles(layer) for layer in range(engine.layers))


def memory(engine: Parameters, ratio: int | Fraction) -> Memory:
    """One with exactly this r."""
    return Memory.for_ratio(engine, timing(engine), ratio)


def run(
    engine: Parameters,
    policy: str,
    ratio: int,
    requests: Sequence[Request],
    *,
    records: bool = False,
) -> tuple[CycleModel, _Meter, list[Record]]:
    """One run of the cycle model."""
    weights = memory(engine, ratio)
    model = CycleModel(engine, weights, records=records)
    mean = sum(request.steps for request in requests) / len(requests)
    bound = round(BOUND * mean * step_cycles(engine))
    made = POLICIES[policy](model, costs(engine, model.timing, weights), bound)
    meter = _Meter(model, len(requests))
    return model, meter, serve(model, made, requests, meter.observe)


def measure(plan: Plan, policy: str, ratio: int, load: float | None) -> Row:
    """All seeds together. ``load`` is of no account if the plan has a trace."""
    engine, total = plan.engine, Counter[str]()
    latencies: list[float] = []
    service = step_cycles(engine)
    steps = count = 0
    for seed in range(1 if plan.trace else plan.seeds):
        requests = plan.trace or _requests(plan, seed, load)
        mean = sum(request.steps for request in requests) / len(requests)
        _, meter, records = run(engine, policy, ratio, requests)
        counted = sorted(records, key=lambda record: record.request.arrival)
        counted = counted[int(WARM_UP * len(counted)) :]
        total.update(meter.counted())
        latencies += [each.latency / (mean * service) for each in counted]
        steps += sum(request.steps for request in requests)
        count += len(requests)
    lane_steps = total["useful"] / engine.layers
    a_sequence = steps / count / lane_steps
    p50, p99 = np.percentile(latencies, [50, 99]).tolist()
    is_bounded = load is not None or bool(plan.trace)
    loaded, read = a_sequence * total["w_words_dram"], a_sequence * total["w_words_sram"]
    return Row(
        policy=policy,
        ratio=ratio,
        load=load,
        throughput=lane_steps / total["cycles"] * service / engine.lanes,
        utilisation=total["useful"] / total["lane_steps_total"],
        padding=1 - total["taken"] / total["occupied"],
        loads=1000 * total["layer_loads"] / total["useful"],
        dram_words=loaded,
        sram_words=read,
        energy=ENERGY.of_sequence(engine, read, loaded),
        p50=p50 if is_bounded else None,
        p99=p99 if is_bounded else None,
    )


def curve(plan: Plan, policy: str, ratio: str) -> list[Row]:
    """A policy at saturation and, at the plan's r, at each load that it can keep up with."""
    rows = [measure(plan, policy, int(ratio), None)]
    if int(ratio) == plan.load_ratio and not plan.trace:
        for load in plan.loads:
            if load < rows[0].throughput:
                rows.append(measure(plan, policy, int(ratio), load))
    return rows


def _requests(plan: Plan, seed: int, load: float | None) -> list[Request]:
    rng = np.random.default_rng([seed, 2009_10656])
    lengths = SOURCES[plan.lengths].draw(rng, plan.requests)
    if load is None:
        return arrivals.at_once(lengths, plan.engine.tag_bits)
    between = float(lengths.mean()) * step_cycles(plan.engine) / plan.engine.lanes / load
    return arrivals.poisson(rng, lengths, between, plan.engine.tag_bits)


@dataclass(frozen=True)
class Gain:
    """Of one policy over another at saturation: in throughput, loads and energy."""

    candidate: str
    baseline: str
    ratio: int
    throughput: float
    loads: float
    energy: float


def gains(rows: Sequence[Row]) -> list[Gain]:
    """Of the candidate over each baseline, at each r that there is."""
    found = {(row.policy, row.ratio): row for row in rows if row.load is None}
    return [
        Gain(
            CANDIDATE,
            baseline,
            ratio,
            candidate.throughput / found[baseline, ratio].throughput,
            found[baseline, ratio].loads / candidate.loads,
            found[baseline, ratio].energy / candidate.energy,
        )
        for (policy, ratio), candidate in found.items()
        if policy == CANDIDATE
        for baseline in BASELINES
        if (baseline, ratio) in found
    ]


#: For the drawing: sequences come a little faster than any policy can serve them.
SMALL = Parameters(lanes=8, hidden_size=64, input_size=64, layers=4, max_steps=128, width=8)
SMALL_REQUESTS, SMALL_RATIO, SMALL_LOAD = 40, 4, 1.2
TIMELINES = ("static padded", "static bucketed", "cellular K=5", "E-BATCH K=8")


def timeline(
    policy: str,
    engine: Parameters = SMALL,
    requests: Sequence[Request] | None = None,
    ratio: int = SMALL_RATIO,
) -> tuple[list[BlockRecord], list[Record]]:
    """Which sequence was in which lane when, in a small run that is the same for every policy.

    Sequences in the blocks are places in the records.
    """
    if requests is None:
        rng = np.random.default_rng(7)
        lengths = SOURCES["short"].draw(rng, SMALL_REQUESTS)
        between = float(lengths.mean()) * step_cycles(engine) / engine.lanes / SMALL_LOAD
        requests = arrivals.poisson(rng, lengths, between, engine.tag_bits)
    model, _, records = run(engine, policy, ratio, requests, records=True)
    return model.blocks, records


def lane_figure() -> str:
    """Lane occupancy over time."""
    unit = step_cycles(SMALL)
    panels = []
    for policy in TIMELINES:
        blocks = [(b.start / unit, b.end / unit, b.steps) for b in timeline(policy)[0]]
        spans = figures.spans(SMALL.lanes, blocks)
        starts = tuple(start for start, *_ in blocks)
        panels.append(figures.Lanes(policy, SMALL.lanes, spans, starts))
    return figures.lanes("ebatch-lanes", panels, "steps of all layers")


def latency_figure(rows: Sequence[Row], lengths: str) -> str:
    """Latency against load."""
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        if row.policy in NOT_DRAWN:
            continue
        if row.load is not None and row.p50 is not None and row.p99 is not None:
            curves.setdefault(row.policy, []).append((row.load, row.p50, row.p99))
    drawn = [figures.Curve(policy, tuple(points)) for policy, points in curves.items()]
    return figures.latency(f"ebatch-latency-{lengths}", drawn)


def main() -> int:
    options = _parse()
    try:
        trace = tuple(arrivals.read_trace(options.trace, ENGINE.tag_bits)) if options.trace else ()
    except ValueError as error:
        print(f"assay: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"assay: cannot read {options.trace}: {error.strerror}", file=sys.stderr)
        return 2
    plan = Plan(
        lengths=options.lengths, requests=options.requests, seeds=options.seeds, trace=trace
    )
    label = f"trace {options.trace.name}" if trace else SOURCES[plan.lengths].label
    print(
        f"{ENGINE.lanes} lanes, {ENGINE.layers} layers of {ENGINE.hidden_size} units; "
        f"{len(trace) or plan.requests:,} sequences{'' if trace else f' x {plan.seeds} seeds'}; "
        f"lengths {label}; cycle model"
    )
    rows = _show_saturation(plan, options.jobs)
    _show_latency(plan, rows)
    _show_gains(rows)
    name = options.trace.stem if trace else plan.lengths
    folder = configuration_folder("ebatch", "experiment")
    write_atomically(folder / f"{name}.json", json.dumps(_result(plan, label, rows), indent=1))
    write_atomically(folder / "lanes.svg", lane_figure())
    if not trace:
        write_atomically(folder / f"{name}.svg", latency_figure(rows, name))
    print(f"written: {folder / f'{name}.json'}")
    return 0


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="python -m sim.ebatch.experiment", description=__doc__)
    parser.add_argument("--lengths", choices=SOURCES, default="short")
    parser.add_argument("--trace", type=Path, help="CSV file: cycle and length of each sequence")
    parser.add_argument("--requests", type=positive("REQUESTS"), default=REQUESTS)
    parser.add_argument("--seeds", type=positive("SEEDS"), default=SEEDS)
    parser.add_argument("--jobs", type=positive("JOBS"), default=2)
    return parser.parse_args()


def _show_saturation(plan: Plan, jobs: int) -> list[Row]:
    """Lines in the order of policies, as soon as all before are there."""
    columns = [
        Column("r", 3),
        Column("policy", max(map(len, POLICIES)), right=False),
        *(Column(title, 11) for title in ("throughput", "lanes used", "padding", "loads/1,000")),
        *(Column(title, 13) for title in ("words loaded", "words read", "µJ")),
    ]
    if plan.trace:
        columns += [Column("p50", 7), Column("p99", 7)]
    chosen = [(policy, str(ratio)) for ratio in RATIOS for policy in POLICIES]
    ready: dict[tuple[str, str], list[Row]] = {}
    shown: list[Row] = []
    print(
        f"{'Trace' if plan.trace else 'Saturated'}; words and energy of a sequence of mean length"
    )
    with LiveTable(columns, len(chosen), "running") as table:
        for rows in in_parallel(partial(curve, plan), chosen, jobs):
            ready[rows[0].policy, str(rows[0].ratio)] = rows
            table.advance()
            for next_rows in _in_order(ready, chosen[len({(r.policy, r.ratio) for r in shown}) :]):
                shown += next_rows
                table.add(_cells(next_rows[0]), advance=False)
    return shown


def _in_order(
    ready: dict[tuple[str, str], list[Row]], expected: Sequence[tuple[str, str]]
) -> Iterator[list[Row]]:
    for pair in expected:
        if pair not in ready:
            return
        yield ready.pop(pair)


def _cells(row: Row) -> list[str]:
    fractions = [f"{value:.3f}" for value in (row.throughput, row.utilisation, row.padding)]
    words = [f"{value:,.0f}" for value in (row.dram_words, row.sram_words)]
    words.append(f"{row.energy / 1000:,.0f}")
    cells = [str(row.ratio), row.policy, *fractions, f"{row.loads:.2f}", *words]
    if row.p50 is not None and row.p99 is not None:
        cells += [f"{row.p50:.2f}", f"{row.p99:.2f}"]
    return cells


def _show_latency(plan: Plan, rows: Sequence[Row]) -> None:
    found = {(row.policy, row.load): row for row in rows if row.ratio == plan.load_ratio}
    if plan.trace or not found:
        return
    print(f"\nLatency p50 / p99 in mean services, r = {plan.load_ratio}; at offered loads of")
    columns = [Column("policy", max(map(len, POLICIES)), right=False)]
    columns += [Column(f"{load:.2f}", 13) for load in plan.loads]
    with LiveTable(columns, len(POLICIES), "showing") as table:
        for policy in POLICIES:
            cells = [found.get((policy, load)) for load in plan.loads]
            table.add([policy, *(f"{c.p50:.2f} / {c.p99:.2f}" if c else "beyond" for c in cells)])


def _show_gains(rows: Sequence[Row]) -> None:
    print(f"\nGains of {CANDIDATE} over")
    columns = [
        Column("what", max(len(what) for what, *_ in PUBLISHED), right=False),
        Column("r", 3),
        Column("throughput", 10),
        Column("fewer loads", 11),
        Column("energy", 6),
        Column("kind", 0, right=False),
    ]
    found = gains(rows)
    with LiveTable(columns, len(found) + len(PUBLISHED), "showing") as table:
        for gain in found:
            cells = [f"{each:.2f}x" for each in (gain.throughput, gain.loads, gain.energy)]
            table.add([gain.baseline, str(gain.ratio), *cells, "cycle model"])
        for what, throughput, energy in PUBLISHED:
            table.add([what, "-", f"{throughput}x", "-", f"{energy}x", PUBLISHED_NOTE])


def _result(plan: Plan, label: str, rows: Sequence[Row]) -> dict[str, object]:
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "kind": "cycle model",
        "engine": asdict(plan.engine),
        "timing": asdict(timing(plan.engine)),
        "lengths": label,
        "requests": len(plan.trace) or plan.requests,
        "seeds": 1 if plan.trace else plan.seeds,
        "warm_up": WARM_UP,
        "bound": BOUND,
        "energy": asdict(ENERGY),
        "rows": [asdict(row) for row in rows],
        "gains": [asdict(gain) for gain in gains(rows)],
        "published": [
            {"what": what, "throughput": throughput, "energy": energy, "note": PUBLISHED_NOTE}
            for what, throughput, energy in PUBLISHED
        ],
    }


if __name__ == "__main__":
    run_command(main)
