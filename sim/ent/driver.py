"""The driver of whichever multiplier is under test: what they have in common is ``multiply``."""

from hdl.ent.configurations import WeightStationaryConfiguration
from sim.bench import Bench
from sim.ent.multiplier import Multiplier
from sim.ent.weights_multiplier import WeightsMultiplier


def driver(bench: Bench) -> Multiplier | WeightsMultiplier:
    """Multiplies matrices of any shape on the design under test."""
    if isinstance(bench.configuration, WeightStationaryConfiguration):
        return WeightsMultiplier(bench)
    return Multiplier(bench)
