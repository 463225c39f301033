"""Every correction names its origin and leads to a cell that shows what holds."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from book_checks import ROOT, headings, notebooks, read


class Correction(NamedTuple):
    claim: str
    origin: str
    holds: str

    @property
    def links(self) -> list[str]:
        return re.findall(r"\]\((.*?)\)", self.holds)


PAGE = (ROOT / "book" / "corrections.md").read_text("utf-8")
CORRECTIONS = [
    Correction(*found)
    for found in re.findall(
        r"^\*\*(.+)\*\* \((.+)\)\.\\\n(.+)$", PAGE, flags=re.MULTILINE
    )
]


def slug(heading: str) -> str:
    """Return the anchor that a heading gets.

    >>> slug("What the groups share: nothing")
    'what-the-groups-share-nothing'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def shown() -> Iterator[str]:
    """Yield each place that a code cell follows before the next heading.

    A place is a label or a heading, ``chapter.ipynb#anchor``.
    """
    for path in notebooks(ROOT):
        waiting: list[str] = []
        for cell in read(path).cells:
            if cell.cell_type == "code":
                yield from waiting
                waiting = []
                continue
            labels: list[str] = []
            for line in cell.source.splitlines():
                if label := re.fullmatch(r"\((.+)\)=", line):
                    labels.append(label[1])
                elif heading := headings(line):
                    waiting = [*labels, f"{path.name}#{slug(heading[0][1])}"]
                    labels = []
                elif line:
                    waiting, labels = waiting + labels, []


SHOWN = set(shown())


def test_the_page_has_no_correction_of_another_form() -> None:
    assert len(CORRECTIONS) == PAGE.count("\n**") > 25
    origins = " ".join(correction.origin for correction in CORRECTIONS)
    assert all(source in origins for source in ("S0", "S1", "S2", "S3", "S4"))
    assert origins.count("elsewhere") >= 14


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda each: each.claim)
def test_a_correction_leads_to_a_cell_that_shows_it(correction: Correction) -> None:
    origins = re.findall(r"S[0-4]|elsewhere", correction.origin)
    assert ", ".join(origins) == correction.origin
    assert correction.links
    assert [link for link in correction.links if link not in SHOWN] == []


def test_a_place_without_a_cell_does_not_count() -> None:
    assert "restricted" in SHOWN
    assert "standard.ipynb#no-flip" in SHOWN
    assert "standard.ipynb#exercises" not in SHOWN  # its first cell is the exercise's
    assert "the-sources" not in SHOWN
