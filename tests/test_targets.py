"""What circuits are mapped for: the usual targets, and those a configuration asks for."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hdl.datapath import Comparison, find_datapath
from hdl.ebatch.configurations import EbatchConfiguration
from synth.blocks import Block
from synth.efficiency import pool
from synth.mapping import Mappings, Try
from synth.targets import FASTER, Target, clock, targets, told
from synth.tries import Tries, _role, distinct


@dataclass(frozen=True)
class Asking(EbatchConfiguration):
    """An engine that asks for all targets and a clock of its own in one process."""

    clock_ps = {"sky130hd": 3000.0}  # noqa: RUF012
    targets = ("area", "clock", "efficiency")


def test_the_clock_is_the_users_then_the_configurations_then_the_usual() -> None:
    asking = Asking()
    assert clock("sky130hd") == 4500.0
    assert clock("sky130hd", None, EbatchConfiguration()) == 4500.0
    assert clock("sky130hd", None, asking) == 3000.0
    assert clock("sky130hd", 2000.0, asking) == 2000.0
    assert clock("sg13g2", None, asking) == 3500.0
    assert clock("another", None, asking) == 5000.0


def test_targets_are_those_that_are_asked_for() -> None:
    usual = (Target("area"), Target("clock", 4500.0))
    assert targets("sky130hd") == targets("sky130hd", None, EbatchConfiguration()) == usual
    found = targets("sky130hd", None, Asking())
    assert found == (Target("area"), Target("clock", 3000.0), Target("efficiency"))
    assert [each.efficient for each in found] == [False, False, True]
    assert len({each.description for each in found}) == 3

    @dataclass(frozen=True)
    class Wrong(EbatchConfiguration):
        targets = ("power",)

    with pytest.raises(ValueError, match="no target is named"):
        targets("sky130hd", None, Wrong())


def test_a_second_clock_is_told_if_efficiency_is_asked_for() -> None:
    usual = targets("sky130hd")
    assert told(usual, 4500.0) == (4500.0,)
    assert told((*usual, Target("efficiency")), 4500.0) == (4500.0, FASTER * 4500.0)
    assert FASTER < 1


def test_circuits_of_two_clocks_are_pooled() -> None:
    block = Block("pe", "", {}, "pe")
    slow, fast = Try("gates", "amap", 0, 10.0, 90.0), Try("gates", "fastest", 0, 20.0, 50.0)
    faster = replace(fast, period_ps=40.0)
    made = pool(
        [Mappings(block, (slow, fast), Path("one")), Mappings(block, (slow, faster), Path("two"))]
    )
    assert made.tries == (slow, fast, faster)
    assert made.file(slow) == Path("one/gates-amap-0.il")
    assert made.file(faster) == Path("two/gates-fastest-0.il")


def tries(config: str, role: str, key: str, library: str = "sky130hd") -> Tries:
    return Tries("ent", config, library, "pe", key, role, "MAC", [(1.0, 2.0)], 7, "0")


def test_a_block_of_many_configurations_counts_once() -> None:
    found = distinct(
        [
            tries("2x2", "other", "x"),
            tries("8x8", "baseline", "x"),
            tries("4x4", "baseline", "x"),
            tries("4x4", "baseline", "x", "sg13g2"),
            tries("4x4-edge", "candidate", "y"),
        ]
    )
    assert [(each.config, each.library, each.role) for each in found] == [
        ("4x4", "sky130hd", "baseline"),
        ("4x4", "sg13g2", "baseline"),
        ("4x4-edge", "sky130hd", "candidate"),
    ]


def test_roles_are_those_of_the_comparisons() -> None:
    datapath = find_datapath("ent")
    baseline, candidate, last = (*datapath.mapped[:2], datapath.configurations[-1].name)
    own = replace(datapath, comparisons=(Comparison("idea", baseline, candidate),))
    names = (baseline, candidate, last)
    assert [_role(own, name) for name in names] == ["baseline", "candidate", "other"]
    assert own.comparisons[0].idea == "idea"
    assert Comparison("PE: idea: more", "", "").idea == "idea: more"
