"""The pipelines for text of click logs, in C++, one of each width."""

from collections.abc import Sequence
from functools import cache

from golden.piper import Mode, Settings, Table
from sim.piper.beats import Output
from sim.piper.circuit import Circuit, click_log_pipelines
from sim.stream_runner import StreamRun

SETTINGS = Settings(Mode.FUSED, modulus=5000, unseen_index=0xFFFF_FFFF)


TEXT = {each.bus_bytes: each for each in click_log_pipelines()}
WIDTHS = tuple(sorted(TEXT))


@cache
def circuit(width: int) -> Circuit:
    return Circuit(TEXT[width])


def cleared_circuit(width: int) -> Circuit:
    """Everything forgotten, usual settings."""
    found = circuit(width)
    found.clear()
    found.set(SETTINGS)
    return found


def check(
    found: Circuit, data_sets: Sequence[bytes], **options: object
) -> tuple[list[Output], list[Table], StreamRun, int]:
    """Send data sets and compare everything; also how much was compared."""
    outputs, tables, run = found.send(data_sets, **options)
    compared, mismatch = found.compare(outputs, tables)
    assert mismatch is None, str(mismatch)
    return outputs, tables, run, compared
