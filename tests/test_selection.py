"""Which configurations a command is about: one by name, several by a pattern, all of them."""

import pytest

from hdl.datapath import find_datapath, find_datapaths
from sim.selection import select
from synth.__main__ import _select


def names(datapath: str, configuration: str) -> list[str]:
    return [name for _, name in select(datapath, configuration)]


def test_everything_and_the_small_ones() -> None:
    every = [each.name for path in find_datapaths().values() for each in path.configurations]
    assert names("", "") == every
    assert names("", "small") == [path.small for path in find_datapaths().values()]


def test_a_pattern_stands_for_all_that_match() -> None:
    found = names("ent", "weights-*")
    assert found
    assert set(found) == {name for name in names("ent", "") if name.startswith("weights-")}
    assert names("ent", find_datapath("ent").small) == [find_datapath("ent").small]


def test_a_pattern_maps_what_is_mapped_anyway() -> None:
    mapped = find_datapath("ent").mapped
    assert [name for _, name in _select("ent", "pe-*")] == [
        name for name in names("ent", "pe-*") if name in mapped
    ]
    unmapped = names("ent", "pe-int4-*")
    assert [name for _, name in _select("ent", "pe-int4-*")] == unmapped


@pytest.mark.parametrize("configuration", ["nope", "nope-*", ""])
def test_what_is_not_there_is_refused(configuration: str) -> None:
    if configuration:
        with pytest.raises(ValueError, match="it has"):
            select("ent", configuration)
    else:
        with pytest.raises(ValueError, match="there are"):
            select("nope", configuration)
