"""Every configuration matches its golden model; small arrays do so under three seeds."""

from importlib import import_module

import pytest

from hdl.datapath import Configuration, Datapath, find_datapath, find_datapaths
from hdl.ent.configurations import ArrayConfiguration
from sim.run import simulate
from sim.sources import FILTER, run_key

SEEDS = (1, 2, 3)


def _runs() -> list[tuple[str, str, int]]:
    return [
        (datapath.name, configuration.name, seed)
        for datapath in find_datapaths().values()
        for configuration in datapath.configurations
        for seed in _seeds(datapath, configuration)
    ]


def _seeds(datapath: Datapath, configuration: Configuration) -> tuple[int, ...]:
    """A PE alone is checked exhaustively, and an array to be mapped is a small one grown."""
    small = configuration.name not in datapath.mapped
    return SEEDS if small and isinstance(configuration, ArrayConfiguration) else SEEDS[:1]


@pytest.mark.parametrize(("datapath", "name", "seed"), _runs())
def test_matches_the_golden_model(datapath: str, name: str, seed: int) -> None:
    result = simulate(find_datapaths()[datapath], name, seed)
    assert result.verdict == "pass", f"{result.message}\nreplay with waves: {result.replay}"
    assert result.checks > 0


@pytest.mark.parametrize("datapath", find_datapaths().values(), ids=lambda found: found.name)
def test_golden_functions_exist(datapath: Datapath) -> None:
    for configuration in datapath.configurations:
        assert configuration.golden
        for name in configuration.golden:
            module, _, function = name.rpartition(".")
            assert callable(getattr(import_module(module), function))


def test_digits_are_classified_as_well_as_in_float() -> None:
    result = simulate(find_datapaths()["ent"], "8x8-int8-acc32-onehot-edge-edge")
    assert result.figures is not None
    difference = result.figures["digits_accuracy"] - result.figures["digits_accuracy_float"]
    assert abs(difference) <= 0.01


def test_sustained_throughput_of_the_largest_array() -> None:
    result = simulate(find_datapaths()["ent"], "8x8-int8-acc32-onehot-edge-edge")
    assert result.work == 10 * 8 * 8 * 1024
    assert result.work_per_cycle >= 0.98 * 64


def test_a_run_of_some_tests_does_not_count_as_one_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = find_datapath("ent").configurations[0]
    monkeypatch.delenv(FILTER, raising=False)
    everything = run_key(configuration, 1, [__file__])
    monkeypatch.setenv(FILTER, "one_test")
    assert everything is not None
    assert run_key(configuration, 1, [__file__]) not in (everything, None)
