"""The ABC scripts a block is mapped with. None is best for every circuit, so all are run."""

_CLEAN = "strash;ifraig;scorr;dc2"

#: For the smallest circuit, whatever its delay.
AREA = {
    "amap": f"{_CLEAN};dc2;dch,-f;amap;topo",
    "amap-retimed": f"{_CLEAN};dretime;strash;amap;topo",
    "amap-deep": f"{_CLEAN};dc2;dc2;dch,-f;amap,-m;topo",
    "nf": f"{_CLEAN};&get,-n;&dch,-f;&nf,-p;&put;topo",
}

#: For a clock period in ps: the first aims for the fastest circuit, the others for that period.
CLOCK = {
    "fastest": f"{_CLEAN};dch,-f;map,-B,0.9,-D,1;topo;buffer,-c;upsize,-D,1;dnsize,-D,{{period}}",
    "map": f"{_CLEAN};dch,-f;map,-B,0.9,-D,{{period}};topo;buffer,-c;upsize,-D,{{period}};"
    "dnsize,-D,{period}",
    "map-deep": f"{_CLEAN};dc2;dch,-f;map,-B,0.9,-D,1;topo;buffer,-c;upsize,-D,{{period}};"
    "dnsize,-D,{period}",
}


def abc_argument(script: str, period_ps: float) -> str:
    """The value of ``abc -script`` for one script above."""
    return f"+{script.format(period=f'{period_ps:.0f}')}"
