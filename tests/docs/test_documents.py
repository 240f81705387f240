"""Every page can be reached, every link leads somewhere, and no page knows the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.documents import DOCS, ROOT, documents

LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|tmp|Users)/|localhost:\d{5}")
PAGES = [*documents(), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
everywhere = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def targets(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [link["target"] for link in LINK.finditer(text) if "://" not in link["target"]]


@everywhere
def test_links_lead_somewhere(page: Path) -> None:
    for target in targets(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(file), f"{target} has no such heading"


@everywhere
def test_no_page_names_a_machine(page: Path) -> None:
    found = MACHINE.search(page.read_text())
    assert found is None, found


def test_the_index_links_every_page() -> None:
    index = DOCS / "index.md"
    rules = DOCS / "reference" / "check-rules.md"  # links the rules' pages
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in (index, rules) for target in targets(page)}
    assert set(DOCS.rglob("*.md")) - {index} - linked == set()


def test_decisions_are_numbered_without_a_gap() -> None:
    names = sorted(page.name for page in (DOCS / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for page in (DOCS / "decisions").glob("*.md"):
        headings = re.findall(r"^## (\w+)$", page.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], page.name
