"""Links between pages lead somewhere."""

import re

import pytest

from sim.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\(([^)#\s]+)")


def _links() -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(ROOT)), link)
        for page in PAGES
        for link in _LINK.findall(page.read_text())
        if "://" not in link
    ]


def test_there_are_links() -> None:
    assert len(_links()) > 10


@pytest.mark.parametrize(("page", "link"), _links())
def test_link_leads_to_a_file(page: str, link: str) -> None:
    assert (ROOT / page).parent.joinpath(link).exists()
