"""Numbers and tables as HTML. All text given to these functions is escaped here."""

import re
from collections.abc import Iterable, Sequence
from html import escape

TEXT, NUMBER = "text", "number"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_PROVENANCE = {
    "simulated": "counted in simulation, every result equal to the golden model's",
    "mapped": "gates of a cell library, derived from the library's figures; no layout, no wires",
    "routed": "placed and routed on an FPGA, timed by nextpnr's model of the device",
    "modelled": "by a cycle model that agrees with the circuit event by event on small engines",
    "published": "the paper's own figure, not measured here",
    "estimated": "from a stated density, not from a circuit",
    "measured": "wall-clock time on the machine that made the results",
}


def cell(*lines: str, kind: str = TEXT, rows: int = 1, mark: str = "") -> str:
    """A table cell of several lines. ``mark`` is a further CSS class."""
    span = f' rowspan="{rows}"' if rows > 1 else ""
    content = "<br>".join(escape(line) for line in lines)
    return f'<td class="{escape(" ".join(filter(None, (kind, mark))))}"{span}>{content}</td>'


def number(*lines: str, mark: str = "") -> str:
    return cell(*lines, kind=NUMBER, mark=mark)


def table(headings: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself. headings: (title, TEXT or NUMBER); rows: cells."""
    head = "".join(f'<th class="{kind}">{escape(title)}</th>' for title, kind in headings)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def labels(*provenance: str) -> str:
    """Where the figures of a section come from."""
    return " ".join(
        f'<span class="label {name}" title="{escape(_PROVENANCE[name])}">{name}</span>'
        for name in provenance
    )


def paragraph(text: str, css: str = "") -> str:
    return f'<p class="{css}">{escape(text)}</p>' if css else f"<p>{escape(text)}</p>"


def count(amount: int, singular: str, plural: str = "") -> str:
    """An amount and its noun, as in "1 circuit" or "2,000 circuits"."""
    return f"{amount:,} {singular if amount == 1 else plural or singular + 's'}"


def percent(part: float, digits: int = 0) -> str:
    return f"{100 * part:.{digits}f} %"


def signed_percent(ratio: float, digits: int = 1) -> str:
    """A ratio as a change, with a minus sign of the right width and no negative zero."""
    change = round((ratio - 1) * 100, digits) + 0.0
    return f"{change:+.{digits}f} %".replace("-", "−") if change else f"{0:.{digits}f} %"


def with_prefix(value: float, unit: str) -> str:
    """Four digits and an SI prefix: ``15.45 GMAC/s``."""
    fitting = ((size, prefix) for size, prefix in _PREFIXES if abs(value) >= size)
    size, prefix = next(fitting, (1.0, ""))
    return f"{value / size:#,.4g} {prefix}{unit}".rstrip()


def natural(name: str) -> tuple:
    """Sort key in which 4x4 precedes 16x16."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
