"""Piper: streaming preprocessing of tables, text or binary, to model-ready columns."""

from hdl.datapath import Datapath
from hdl.piper.configurations import PiperConfiguration
from hdl.piper.parameters import BadRows, Parameters, Source
from hdl.piper.schemas import CRITEO, TINY, VISITS

#: Bytes a beat of the bus, and the columns a cycle that keep up with it on ordinary rows.
WIDTHS = {1: 1, 4: 1, 8: 2, 16: 4, 64: 16}


def _text(width: int, lanes: int) -> PiperConfiguration:
    return PiperConfiguration(Parameters(CRITEO, width, lanes))


def _binary(width: int) -> PiperConfiguration:
    lanes = max(1, width // 4)
    return PiperConfiguration(Parameters(CRITEO, width, lanes, source=Source.BINARY))


_SMALL = PiperConfiguration(Parameters(TINY, 4, 1, 16))
_TEXT = tuple(_text(width, lanes) for width, lanes in WIDTHS.items())
_BINARY = tuple(_binary(width) for width in (8, 64))
_CHECKED = (
    PiperConfiguration(Parameters(CRITEO, 8, 2, bad_rows=BadRows.DEFAULT)),
    PiperConfiguration(Parameters(CRITEO, 8, 2, 1 << 20, off_chip=True)),
    PiperConfiguration(Parameters(VISITS, 4, 2, 64)),
    PiperConfiguration(Parameters(VISITS, 16, 8, 64, bad_rows=BadRows.DEFAULT)),
    PiperConfiguration(Parameters(TINY, 2, 2, 32, bad_rows=BadRows.DEFAULT, off_chip=True)),
    PiperConfiguration(Parameters(TINY, 16, 8, 16)),
    *(
        PiperConfiguration(Parameters(TINY, width, lanes, 16, Source.BINARY, bad_rows))
        for width, lanes, bad_rows in (
            (1, 1, BadRows.DEFAULT),
            (2, 1, BadRows.DROP),
            (4, 1, BadRows.DEFAULT),
            (16, 4, BadRows.DROP),
            (32, 8, BadRows.DEFAULT),
        )
    ),
)

DATAPATH = Datapath(
    name="piper",
    summary="streaming preprocessing of tables: text decoding, operators, vocabularies",
    paper="Piper (arXiv 2409.14912); semantics of facebookresearch/dlrm data_utils.py",
    work="row",
    configurations=(_SMALL, *_TEXT, *_BINARY, *_CHECKED),
    small=_SMALL.name,
    mapped=tuple(configuration.name for configuration in _TEXT),
)
