"""A file of one's own through the circuit: what is printed, and what is said if it is wrong."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from golden.piper import Settings, Table
from sim.piper import file
from sim.piper.reference import Reference
from synth.section_end_to_end import end_to_end

CONFIG = "tiny-text-4B-1lanes-16"
ROWS = b"1\t5\t-3\tab\t0\t7\n0\t\t\t\t\tx\n1\t2\t3\tab\tff\t\n0\t1\t1\t1\t1\t1"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    target = tmp_path / "rows.tsv"
    target.write_bytes(ROWS)
    return target


def run(monkeypatch: pytest.MonkeyPatch, *options: object) -> int:
    monkeypatch.setattr(sys, "argv", ["file", *map(str, options)])
    return file.main()


def test_rows_flags_cycles_and_sizes_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    assert run(monkeypatch, "--input", table, "--config", CONFIG, "--modulus", 10) == 0
    out = capsys.readouterr().out
    heading, line = out.splitlines()[:2]
    assert heading.split()[:2] == ["configuration", "rows"]
    assert line.split()[:4] == [CONFIG, "4", "1", "3"]
    assert float(line.split()[-1]) > 1
    assert "rows flagged: invalid byte 1, no final newline 1" in out
    # Modulo 10: 1, 1, 1; 0, 5, 1; 7, 0, 1.
    assert "vocabulary sizes: C1 1, C2 3, C3 3" in out
    assert "values equal those of the golden model" in out


def test_a_mismatch_names_line_and_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    """The third line of the file is the second row that comes out."""
    expect = Reference.expect

    def wrong(self: Reference, data: bytes, settings: Settings) -> Table:
        expected = expect(self, data, settings)
        words = expected.words.copy()
        words[1, 4] ^= 1
        return replace(expected, words=words)

    monkeypatch.setattr(Reference, "expect", wrong)
    assert run(monkeypatch, "--input", table, "--config", CONFIG, "--modulus", 10) == 1
    out = capsys.readouterr().out
    assert "differs from the golden model: line 3, row 1, C2: got 0x1, expected 0x0" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--input", "nowhere.tsv"), "cannot read nowhere.tsv"),
        (("--input", "x", "--config", "none"), "has no configuration 'none'"),
        (("--input", "x", "--config", "criteo-text-8B-2lanes-1048576-off-chip"), "not modelled"),
    ],
)
def test_what_is_wrong_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_bytes(ROWS)
    assert run(monkeypatch, *options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [("--modulus", "-1", "0 to 4294967295"), ("--datapath", "ent", "for piper alone")],
)
def test_settings_say_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, table: Path, option: str, value: str, allowed: str
) -> None:
    with pytest.raises(SystemExit, match=allowed):
        run(monkeypatch, "--input", table, f"{option}={value}")


def test_the_report_orders_lines_by_their_rate() -> None:
    lines = [
        {"datapath": "piper", "made": made, "what": what, "kind": "measured", "note": "<n>"}
        | {"rows_per_second": rate}
        for made, what, rate in (("2", "slow", 1e5), ("2", "fast", 8e6), ("1", "older", 9e9))
    ]
    html = end_to_end(lines)
    assert html.index("fast") < html.index("slow")
    assert "8,000,000" in html and "1/80" in html and "&lt;n&gt;" in html
    assert "older" not in html
    assert end_to_end([]) == ""
