"""The ABC scripts a block is mapped with. None is best for every circuit, so all are run."""

_CLEAN = "strash;ifraig;scorr;dc2"

#: For the smallest circuit, whatever its delay.
AREA = {
    "amap": f"{_CLEAN};dc2;dch,-f;amap;topo",
    "amap-retimed": f"{_CLEAN};dretime;strash;amap;topo",
    "amap-deep": f"{_CLEAN};dc2;dc2;dch,-f;amap,-m;topo",
    "nf": f"{_CLEAN};&get,-n;&dch,-f;&nf,-p;&put;topo",
}

_BALANCED = f"{_CLEAN};if,-g,-K,6;strash;dch,-f"
_SIZED = "topo;buffer,-c;upsize,-D,{period};dnsize,-D,{period}"

#: For a clock period in ps. Balancing the logic first (``if -g``) takes the long carry chains
#: apart, which no choice of cells can make up for.
CLOCK = {
    "fastest": f"{_BALANCED};map,-B,0.9,-D,1;topo;buffer,-c;upsize,-D,1;dnsize,-D,{{period}}",
    "balanced-map": f"{_BALANCED};map,-B,0.9,-D,{{period}};{_SIZED}",
    "balanced-amap": f"{_BALANCED};amap;{_SIZED}",
    "map-sized": f"{_CLEAN};dc2;dch,-f;map,-D,{{period}};{_SIZED}",
    "amap-sized": f"{_CLEAN};dc2;dch,-f;amap;{_SIZED}",
}

SCRIPTS = AREA | CLOCK


def abc_argument(script: str, period_ps: float) -> str:
    """The value of ``abc -script`` for one script above."""
    return f"+{script.format(period=f'{period_ps:.0f}')}"
