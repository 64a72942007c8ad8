"""Sizes of an engine: what is refused, and figures that follow from them, by hand."""

from dataclasses import replace

import pytest

from hdl.ebatch.parameters import Cell, Parameters

ENGINE = Parameters()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lanes": 0}, "lanes is 0; allowed are 1 to 256"),
        ({"layers": 17}, "layers is 17; allowed are 1 to 16"),
        ({"max_steps": 0}, "max_steps is 0; allowed are 1 to 1024"),
        ({"token_depth": 1}, "token_depth is 1; allowed are 2 to 4096"),
        ({"done_depth": 1}, "done_depth is 1; allowed are 2 to 4096"),
        ({"tag_bits": 33}, "tag_bits is 33; allowed are 1 to 32"),
        ({"weight_buffers": 3}, "weight_buffers is 3; allowed are 1 to 2"),
        ({"descriptors": 257}, "descriptors is 257; allowed are 0 to 256"),
        (
            {"descriptors": 2, "completion": False},
            "descriptors is 2; without completion allowed is 0",
        ),
        ({"width": 6}, "width is 6; allowed are 4, 8, 16 and 32"),
        ({"hidden_size": 30}, "hidden_size is 30; allowed are multiples of the width 4 to 4096"),
        ({"input_size": 0}, "input_size is 0; allowed are multiples of the width 4 to 4096"),
    ],
)
def test_what_is_out_of_range_is_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        replace(ENGINE, **changes)


def test_cycles_of_a_step_by_hand() -> None:
    """4 gates of 32 units, each of two parts of 32 / 4 words; 8 lanes need no more than that."""
    assert ENGINE.step_cycles(0) == ENGINE.step_cycles(1) == 4 * 32 * (8 + 8)
    # 16 lanes do; and a part of two words takes the least number of cycles there is.
    assert replace(ENGINE, lanes=16).step_cycles(0) == 4 * 32 * (16 + 16)
    assert replace(ENGINE, input_size=8).step_cycles(0) == 4 * 32 * (8 + 8)
    gru = replace(ENGINE, cell=Cell.GRU_RESET_AFTER, input_size=64)
    assert [gru.step_cycles(layer) for layer in range(2)] == [3 * 32 * 24, 3 * 32 * 16]


def test_words_of_a_load_by_hand() -> None:
    """11 scales of two words and three settings, 256 biases, 4 × 32 rows of 64 weights."""
    assert ENGINE.load_words(1) == 25 + 256 + 4 * 32 * 64 // 4
    wide = replace(ENGINE, width=16, cell=Cell.GRU_RESET_BEFORE, hidden_size=48)
    assert wide.load_words(0) == 17 + 6 * 48 * 4 // 16 + 3 * 48 * (32 + 48) // 16


@pytest.mark.parametrize("size", [4, 32, 4096])
def test_an_accumulator_holds_the_largest_sum(size: int) -> None:
    bits = Parameters(hidden_size=size, input_size=4).accumulator_bits
    assert -(1 << bits - 1) <= -128 * 127 * size < 128 * 128 * size < 1 << bits - 1


@pytest.mark.parametrize("depth", [2, 3, 4, 7, 8, 63, 64, 4095, 4096])
def test_a_count_of_tokens_has_just_the_bits_it_needs(depth: int) -> None:
    """Counts of all lanes lie side by side, so those who look at one must agree on its width."""
    bits = replace(ENGINE, token_depth=depth).count_bits
    assert 1 << bits - 1 <= depth < 1 << bits


def test_names_tell_engines_apart() -> None:
    others = (
        {"lanes": 4},
        {"width": 8},
        {"weight_buffers": 1},
        {"completion": False},
        {"descriptors": 2},
        {"descriptors": 4},
    )
    names = {replace(ENGINE, **changes).name for changes in others}
    assert len(names | {ENGINE.name}) == 1 + len(others)
