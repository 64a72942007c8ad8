"""Arrivals: lengths that are drawn, and traces that are read."""

from pathlib import Path

import numpy as np
import pytest

from sim.ebatch import arrivals
from sim.ebatch.arrivals import poisson, read_trace
from sim.ebatch.runtime import (
    Request,
)


def test_synthetic_lengths_say_so_and_are_as_described() -> None:
    rng = np.random.default_rng(0)
    for name, mean, most in (("short", 25.6, 100), ("long", 179, 512)):
        source = arrivals.SOURCES[name]
        lengths = source.draw(rng, 50_000)
        assert source.label.startswith("synthetic")
        assert f"mean {mean}, at most {most}" in source.label
        assert abs(lengths.mean() / mean - 1) < 0.01
        assert lengths.min() >= 1 and lengths.max() == most
    assert arrivals.SOURCES["lines"].label.startswith("real")


def test_own_lengths_are_drawn_alike() -> None:
    source = arrivals.of_lengths("three", "real: of a test", [2, 3, 9])
    drawn = source.draw(np.random.default_rng(0), 3000)
    assert set(np.unique(drawn)) == {2, 3, 9}
    assert all(abs(np.sum(drawn == each) - 1000) < 150 for each in (2, 3, 9))


def test_poisson_arrivals() -> None:
    lengths = np.full(20_000, 7)
    found = poisson(np.random.default_rng(0), lengths, 50.0, 14)
    gaps = np.diff([request.arrival for request in found])
    assert abs(gaps.mean() / 50 - 1) < 0.03
    assert abs(gaps.std() / 50 - 1) < 0.05
    assert [request.tag for request in found[16382:16386]] == [16382, 16383, 0, 1]


@pytest.mark.parametrize(
    "text", ["cycle,length\n0,5\n\n 12 , 1 \n12,65535", "0,5\r\n12,1\r\n12,65535"]
)
def test_a_trace_is_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_bytes(text.encode())
    assert read_trace(file, 16) == [Request(0, 5, 0), Request(1, 1, 12), Request(2, 65535, 12)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trace.csv: no sequences; a line is 'cycle,length'"),
        ("cycle,length\n", "trace.csv: no sequences"),
        ("length,cycle\n1,2", "trace.csv, line 1: cycle is 'length'; allowed are whole numbers"),
        ("0,5\n1;5", "trace.csv, line 2: 1 fields; a line is 'cycle,length'"),
        ("0,5\n\n1,5,7", "trace.csv, line 3: 3 fields"),
        ("0,5\n-1,5", "line 2: cycle is '-1'; allowed are whole numbers from 0 to"),
        ("0,5\n1.5,5", "line 2: cycle is '1.5'"),
        ("0,0", "line 1: length is '0'; allowed are whole numbers from 1 to 65535"),
        ("0,65536", "line 1: length is '65536'"),
        ("0,\u0665", "line 1: length is"),
        ("0,", "line 1: length is ''"),
        ("9,1\n8,1", "line 2: cycle 8 comes behind 9; cycles may not go back"),
        ("0,5\ncycle,length", "line 2: cycle is 'cycle'"),
        ("0,'5", "line 1: length is"),
        ("9" * 30 + ",5", "line 1: cycle is"),
    ],
)
def test_what_is_wrong_with_a_trace_is_said(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        read_trace(file, 16)
    assert message in str(error.value)
