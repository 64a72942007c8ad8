"""E-BATCH: a batched RNN engine whose lanes carry sequences end to end."""

from hdl.datapath import Comparison, Datapath
from hdl.ebatch.configurations import EbatchConfiguration
from hdl.ebatch.parameters import Cell, Parameters

_TINY = {"max_steps": 8, "token_depth": 16, "done_depth": 4, "tag_bits": 12}
_SMALL = EbatchConfiguration(Parameters(lanes=2, hidden_size=8, input_size=8, **_TINY))
_CHECKED = (
    EbatchConfiguration(
        Parameters(Cell.GRU_RESET_AFTER, 3, 8, 12, layers=3, weight_buffers=2, **_TINY)
    ),
    EbatchConfiguration(
        Parameters(Cell.GRU_RESET_BEFORE, 2, 16, 8, layers=2, weight_buffers=1, width=8, **_TINY)
    ),
    EbatchConfiguration(Parameters(Cell.LSTM, 1, 8, 4, layers=1, **_TINY)),
    EbatchConfiguration(Parameters(Cell.LSTM, 4, 16, 32, layers=4, width=16, **_TINY)),
)
_ENGINE = EbatchConfiguration(Parameters())
_PLAIN = EbatchConfiguration(Parameters(completion=False))
_PLAIN_CHECKED = EbatchConfiguration(
    Parameters(Cell.GRU_RESET_BEFORE, 3, 8, 12, layers=3, completion=False, **_TINY)
)
#: As many tokens as their count has numbers but for 0.
_DESCRIBED = EbatchConfiguration(
    Parameters(Cell.LSTM, 3, 8, 12, layers=2, descriptors=2, **{**_TINY, "token_depth": 7})
)

DATAPATH = Datapath(
    name="ebatch",
    summary="batched LSTM and GRU: sequences end to end in lanes, and word when one is done",
    paper="E-BATCH (arXiv 2009.10656); int8 LSTM of CMSIS-NN and TensorFlow Lite Micro",
    work="MAC",
    configurations=(_SMALL, *_CHECKED, _PLAIN_CHECKED, _DESCRIBED, _ENGINE, _PLAIN),
    small=_SMALL.name,
    mapped=(_PLAIN.name, _ENGINE.name),
    comparisons=(
        Comparison(
            "completion notification and lanes of their own",
            baseline=_PLAIN.name,
            candidate=_ENGINE.name,
        ),
    ),
)
