"""Many rows through the pipeline at every width of the bus, in C++."""

import numpy as np
import pytest
from piper_circuits import SETTINGS, WIDTHS, check, cleared_circuit

from golden.piper import Cause, Mode, Settings
from hdl.piper.parameters import Parameters, Source
from hdl.piper.schemas import CRITEO
from sim.piper.beats import RAGGED
from sim.piper.circuit import Circuit, cycles_per_row
from sim.piper.reference import golden_columns
from sim.piper.rows import CRITEO_BASES, bad_rows, binary_rows, criteo_rows

ROWS = 20_000
#: Rows on the bus at full speed, to measure how many cycles each takes.
STEADY_ROWS = 2_000


@pytest.fixture
def cleared(request: pytest.FixtureRequest) -> Circuit:
    return cleared_circuit(request.param)


at_every_width = pytest.mark.parametrize("cleared", WIDTHS, indirect=True)


def test_every_width_is_there() -> None:
    assert WIDTHS == (1, 4, 8, 16, 64)


@at_every_width
def test_many_rows_at_every_alignment_under_pauses_and_stalls(cleared: Circuit) -> None:
    width = cleared.parameters.bus_bytes
    rng = np.random.default_rng(width)
    data_sets = [criteo_rows(rng, -(-ROWS // width)) for _ in range(width)]
    *_, compared = check(
        cleared, data_sets, pause="random", stall="random", seed=width, shifts=range(width)
    )
    assert compared > ROWS * 2 * 40
    assert cleared.counter("rows") >= ROWS
    assert cleared.counter("flagged") == 0


@at_every_width
def test_good_and_bad_rows_in_ragged_beats(cleared: Circuit) -> None:
    """Bursts of both kinds; every cause occurs many times."""
    rng = np.random.default_rng(cleared.parameters.bus_bytes)
    data_sets = [bad_rows(rng, CRITEO_BASES, 400, final_newline=False) for _ in range(4)]
    check(cleared, data_sets, pause="bursts", stall="bursts", layout=RAGGED)
    for cause in Cause:
        least = 1 if cause is Cause.NO_FINAL_NEWLINE else 20
        assert cleared.counter(cause.name.lower()) >= least


@at_every_width
def test_cycles_of_a_row(cleared: Circuit) -> None:
    """Within 2 % of max(B / W, 40 / F)."""
    p = cleared.parameters
    data = criteo_rows(np.random.default_rng(1), STEADY_ROWS)
    _, _, run, _ = check(cleared, [data])
    bound = max(len(data) / STEADY_ROWS / p.bus_bytes, 40 / p.lanes)
    assert bound * 0.98 <= cycles_per_row(p, run) <= bound * 1.02


@at_every_width
def test_densest_rows_wait_and_are_not_lost(cleared: Circuit) -> None:
    """Empty fields alone: a row every ``beats`` cycles, however wide the bus."""
    p = cleared.parameters
    rows = 2_000
    outputs, _, run, _ = check(cleared, [(b"\t" * 39 + b"\n") * rows])
    assert len(outputs[0].words) == rows
    assert cycles_per_row(p, run) <= 1.02 * max(40 / p.bus_bytes, p.beats)
    if 40 / p.bus_bytes < p.beats:
        assert cleared.counter("refused") > rows


def test_two_passes_give_what_one_gives() -> None:
    fused, passes = cleared_circuit(8), cleared_circuit(16)
    data = criteo_rows(np.random.default_rng(3), 3_000)
    results = []
    for each, modes in ((fused, (Mode.FUSED,)), (passes, (Mode.GEN, Mode.APPLY))):
        for mode in modes:
            each.set(Settings(mode, 5000))
            outputs, *_ = check(each, [data])
        results.append(outputs[0])
    assert (results[0].words == results[1].words).all()
    assert not results[1].unseen.any()
    assert len(results[0].words) == 3_000


def test_a_binary_source_gives_the_same_rows() -> None:
    """At the width of a whole group of columns, a row in three cycles."""
    parameters = Parameters(CRITEO, 64, 16, source=Source.BINARY)
    binary, text = Circuit(parameters), cleared_circuit(64)
    data = criteo_rows(np.random.default_rng(5), 5_000)
    words = binary_rows(data, golden_columns(CRITEO), parameters.places)
    results = []
    for each, rows in ((text, data), (binary, words)):
        each.set(SETTINGS)
        outputs, _, run, _ = check(each, [rows])
        results.append(outputs[0])
    assert (results[0].words == results[1].words).all()
    assert cycles_per_row(parameters, run) == pytest.approx(3, rel=1e-3)
