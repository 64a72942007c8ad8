"""The counters of the pipeline by name."""

from golden.piper import Cause
from hdl.piper.counters import CAUSES, FLAGGED, OVERFLOWED, REFUSED, ROWS, UNSEEN

COUNTERS = {
    "rows": ROWS,
    "flagged": FLAGGED,
    **{cause.name.lower(): CAUSES + cause for cause in Cause},
    "unseen": UNSEEN,
    "overflowed": OVERFLOWED,
    "refused": REFUSED,
}
