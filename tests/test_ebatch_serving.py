"""Lines of text through the compiled engine: answers do not depend on the policy."""

import numpy as np
import pytest

from golden.ebatch import run_layers
from hdl.ebatch.parameters import Parameters
from sim.ebatch.native import NativeEngine
from sim.ebatch.networks import random_network
from sim.ebatch.policies import FixedSteps
from sim.ebatch.runtime import Request, serve
from sim.ebatch.serving import Served, serve_lines

#: Enough lines to fill the lanes several times, and few enough to be quick.
LINES = 40
#: One of each kind.
CHOSEN = ("static bucketed", "cellular K=5", "E-BATCH K=8", "E-BATCH backlog")


@pytest.fixture(scope="module")
def served() -> list[Served]:
    return [serve_lines(policy, LINES) for policy in CHOSEN]


def test_every_output_was_compared(served: list[Served]) -> None:
    assert [each.outputs for each in served] == [32 * LINES] * len(CHOSEN)


def test_all_policies_give_the_same_answers(served: list[Served]) -> None:
    assert len({each.answers for each in served}) == 1
    assert {len(each.answers) for each in served} == {LINES}
    # Both kinds of answers, or this would show nothing.
    assert len(set(served[0].answers)) == 2


def test_the_circuit_is_as_right_as_the_network_in_floating_point(served: list[Served]) -> None:
    for each in served:
        assert each.right >= each.float_right - LINES // 100
        assert each.right > 0.9 * LINES


def test_lanes_are_refilled(served: list[Served]) -> None:
    by_name = {each.policy: each for each in served}
    static, batched = by_name["static bucketed"], by_name["E-BATCH K=8"]
    assert batched.cycles < static.cycles
    assert batched.p50 < static.p50


#: Small engines with more layers than there is room for, which load weights all the time.
LOADING = (
    Parameters(lanes=3, hidden_size=8, input_size=8, layers=3, max_steps=16, token_depth=32),
    Parameters(
        lanes=2, hidden_size=16, input_size=8, layers=2, max_steps=5, token_depth=16, width=8,
        weight_buffers=1,
    ),
)  # fmt: skip


@pytest.mark.parametrize("parameters", LOADING, ids=lambda parameters: parameters.name)
def test_thousands_of_steps_with_weights_from_outside(parameters: Parameters) -> None:
    rng = np.random.default_rng(5)
    network = random_network(rng, parameters)
    lengths = rng.integers(1, 40, 150).tolist()
    inputs = {
        tag: rng.integers(-128, 128, (length, parameters.input_size)).astype(np.int8)
        for tag, length in enumerate(lengths)
    }
    engine = NativeEngine(parameters, network, inputs)
    arrivals = [Request(tag, length, 200 * tag) for tag, length in enumerate(lengths)]
    records = serve(engine, FixedSteps(engine, parameters.max_steps), arrivals)
    assert len(records) == len(lengths) == len(engine.outputs)
    for tag, values in inputs.items():
        expected = run_layers(network, values)[-1].outputs[-1]
        assert np.array_equal(engine.outputs[tag], expected), f"sequence {tag}"
