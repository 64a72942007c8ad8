"""Lines of text through the engine as they arrive, by every policy: answers, lanes, latencies.

It runs the circuit itself, compiled, and compares each last output with the golden model; and the
answers with those of the network before it was quantised.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np

from golden.ebatch import run_layers
from hdl.ebatch.parameters import Parameters
from hdl.ebatch.registers import Register
from sim.cache import write_atomically
from sim.console import Column, LiveTable, run_command
from sim.ebatch import arrivals
from sim.ebatch.classifier import (
    HIDDEN_SIZE,
    INPUT_SIZE,
    LAYERS,
    accuracy,
    float_answers,
    integer_answers,
    load_classifier,
    load_network,
    requests,
    sample,
)
from sim.ebatch.lines import test_split
from sim.ebatch.native import NativeEngine
from sim.ebatch.policies import POLICIES
from sim.ebatch.runtime import serve
from sim.ebatch.timing import Memory, costs, timing
from sim.parallel import in_parallel
from sim.paths import configuration_folder
from sim.selection import SettingsParser, positive

ENGINE = Parameters(input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE, layers=LAYERS)
LINES, SEED = 300, 1
#: Of what the lanes could do if they always worked.
LOAD = 0.6
#: Mean services in which a line is to be done, for the rule that goes by it.
BOUND = 6


@dataclass(frozen=True)
class Served:
    """What a policy made of the lines.

    answers: whether a line is code, in the order of the lines. right, float_right: how many
    answers are, the circuit's and those of the network in floating point. outputs: values that
    were compared with the golden model, all equal. utilisation: of the lanes, in blocks. cycles:
    until all was done. p50, p99: latency in cycles.
    """

    policy: str
    answers: tuple[bool, ...]
    right: int
    float_right: int
    outputs: int
    utilisation: float
    cycles: int
    p50: float
    p99: float


def serve_lines(policy: str, lines: int, load: float = LOAD, seed: int = SEED) -> Served:
    """Lines of the machine's own standard library, in random order, at random times.

    Raises AssertionError if an output differs from the golden model's.
    """
    classifier = load_classifier()
    chosen, drawn = requests(lines, seed), sample(lines, seed)
    engine = NativeEngine(ENGINE, classifier.layers, {each.tag: each.inputs for each in chosen})
    lengths = np.array([len(each.inputs) for each in chosen])
    step = sum(map(ENGINE.step_cycles, range(ENGINE.layers)))
    between = float(lengths.mean()) * step / ENGINE.lanes / load
    rng = np.random.default_rng(seed)
    coming = arrivals.poisson(rng, lengths, between, ENGINE.tag_bits)
    # The tags of ``requests`` count from 0, as those of arrivals do.
    assert [each.tag for each in coming] == [each.tag for each in chosen]
    constants = timing(ENGINE)
    bound = round(BOUND * float(lengths.mean()) * step)
    made = POLICIES[policy](engine, costs(ENGINE, constants, Memory()), bound)
    records = serve(engine, made, coming)
    compared = 0
    for each in chosen:
        expected = run_layers(classifier.layers, each.inputs)[-1].outputs[-1]
        found = engine.outputs[each.tag]
        if not np.array_equal(found, expected):
            raise AssertionError(f"line {each.tag} by {policy}: {found}, expected {expected}")
        compared += len(expected)
    answers = [bool(classifier.score(engine.outputs[each.tag]) > 0) for each in chosen]
    labels = np.array([each.label for each in chosen])
    latencies = [record.latency for record in records]
    p50, p99 = np.percentile(latencies, [50, 99]).tolist()
    return Served(
        policy=policy,
        answers=tuple(answers),
        right=int(np.sum(np.array(answers) == labels)),
        float_right=int(np.sum(float_answers(load_network(), drawn) == labels)),
        outputs=compared,
        utilisation=engine.register(Register.USEFUL) / engine.register(Register.LANE_STEPS),
        cycles=engine.now,
        p50=p50,
        p99=p99,
    )


def _serve(policy: str, lines: str) -> Served:
    return serve_lines(policy, int(lines))


def _print_accuracy() -> None:
    """Of all test lines, by both networks, on the host."""
    lines = test_split()
    in_float = float_answers(load_network(), lines)
    quantised = integer_answers(load_classifier(), lines)
    print(
        f"{len(lines):,} test lines, computed by the golden model's arithmetic: "
        f"{accuracy(in_float, lines):.2%} right in floating point, "
        f"{accuracy(quantised, lines):.2%} quantised; "
        f"{int(np.sum(in_float != quantised))} answers differ"
    )


def main() -> int:
    options = _parse()
    _print_accuracy()
    print(
        f"{options.lines} lines of the standard library, code or prose, at random times, "
        f"{LOAD:.0%} of what the lanes can do; {ENGINE.name}, simulated"
    )
    columns = [
        Column("policy", max(map(len, POLICIES)), right=False),
        Column("right", 7),
        Column("float", 7),
        *(Column(title, 10) for title in ("lanes used", "cycles/line", "p50", "p99")),
        Column("outputs checked", 15),
    ]
    found: list[Served] = []
    with LiveTable(columns, len(POLICIES), "serving") as table:
        chosen = [(policy, str(options.lines)) for policy in POLICIES]
        for served in in_parallel(_serve, chosen, options.jobs):
            found.append(served)
            table.add(_cells(served, options.lines))
    same = len({served.answers for served in found}) == 1
    print("all policies give the same answers" if same else "assay: the answers differ")
    file = configuration_folder("ebatch", "serving") / "lines.json"
    made = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [{**asdict(served), "answers": len(served.answers)} for served in found]
    text = {"made": made, "engine": ENGINE.name, "lines": options.lines, "load": LOAD, "rows": rows}
    write_atomically(file, json.dumps(text, indent=1))
    return 0 if same else 1


def _parse() -> argparse.Namespace:
    parser = SettingsParser(prog="python -m sim.ebatch.serving", description=__doc__)
    parser.add_argument("--lines", type=positive("LINES"), default=LINES)
    parser.add_argument("--jobs", type=positive("JOBS"), default=2)
    return parser.parse_args()


def _cells(served: Served, lines: int) -> Sequence[str]:
    return [
        served.policy,
        f"{served.right / lines:.1%}",
        f"{served.float_right / lines:.1%}",
        f"{served.utilisation:.1%}",
        f"{served.cycles / lines:,.0f}",
        f"{served.p50:,.0f}",
        f"{served.p99:,.0f}",
        f"{served.outputs:,}",
    ]


if __name__ == "__main__":
    run_command(main)
