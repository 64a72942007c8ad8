"""The skeleton datapath: its golden model and its parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.skeleton import distance
from hdl.skeleton.configurations import DistanceConfiguration

ELEMENTS = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(ELEMENTS, ELEMENTS), min_size=1, max_size=64))
def test_golden_model_against_plain_integers(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    assert int(distance(a, b)) == sum(max(x, y) - min(x, y) for x, y in pairs)


def test_golden_model_takes_many_vectors_at_once() -> None:
    assert distance([[0, 9], [7, 7]], [[3, 1], [7, 6]]).tolist() == [11, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((0, 8, "adders"), "lanes is 0; allowed are 1 to 64"),
        ((8, 33, "adders"), "bits is 33; allowed are 1 to 32"),
        ((8, 8, "magic"), "adder is 'magic'; allowed are 'adders' and 'compressor'"),
    ],
)
def test_bad_parameters_are_refused(parameters: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DistanceConfiguration(*parameters)
