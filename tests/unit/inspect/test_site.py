from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pytest

from freehold import ConfigurationError, Event, Service, System
from freehold.inspect.event_lock import EventLock
from freehold.inspect.message_schema import Schema
from freehold.inspect.site import build_site, write_site
from systems.booking_rush.system import system as booking_rush

ROOT = Path(__file__).parents[3]
DIGEST = """
import hashlib
from freehold.inspect.site import build_site
from systems.booking_rush.system import system
print(hashlib.sha256(repr(build_site(system)).encode()).hexdigest())
"""


class BidPlaced(Event, name="bid.placed", topic="bids", key="bid", version=3):
    bid: str
    price: int


@BidPlaced.upcast(2)
def _of_version_2(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "price": data["sum"]}


class Anchors(HTMLParser):
    """The ids of a page and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src") and value and not value.startswith("data:"):
                self.targets.append(value)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return build_site(booking_rush)


def test_every_link_leads_to_a_file_and_a_place_in_it(files: dict[str, str]) -> None:
    pages = {name: Anchors(text) for name, text in files.items() if name.endswith(".html")}
    wrong = []
    for name, page in pages.items():
        for target in page.targets:
            path, _, anchor = target.partition("#")
            where = name if not path else os.path.normpath(PurePosixPath(name).parent / path)
            if where not in files or (anchor and unquote(anchor) not in pages[where].ids):
                wrong.append(f"{name}: {target}")

    assert wrong == []


def test_ids_are_unique_in_each_page(files: dict[str, str]) -> None:
    for name, text in files.items():
        if name.endswith(".html"):
            ids = Anchors(text).ids
            assert len(ids) == len(set(ids)), name


def test_what_the_search_finds_exists(files: dict[str, str]) -> None:
    index = json.loads(files["search.js"].removeprefix("window.searchIndex = ").rstrip(";\n"))

    for entry in index:
        path, _, anchor = entry["url"].partition("#")
        assert path in files, entry
        assert not anchor or anchor in Anchors(files[path]).ids, entry
    kinds = {entry["kind"] for entry in index}
    assert kinds == {"overview", "service", "catalogue", "event", "command", "api", "table", "route"}


def test_each_service_message_and_api_has_a_page(files: dict[str, str]) -> None:
    for service in booking_rush.services:
        assert f"services/{service.name}.html" in files
        assert f"api/{service.name}.html" in files
        assert f"api/{service.name}.openapi.json" in files
    for name in booking_rush.messages():
        assert f"messages/{name}.html" in files


def test_the_same_declarations_give_the_same_bytes(files: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"},
    )  # fmt: skip

    assert done.stdout.strip() == hashlib.sha256(repr(files).encode()).hexdigest()


def test_a_system_without_anything_has_a_site() -> None:
    files = build_site(System("empty", services=[Service("lonely", description="<b>& more</b>")]))

    assert "sagas.html" not in files
    assert "&lt;b&gt;&amp; more&lt;/b&gt;" in files["services/lonely.html"]


def test_findings_are_shown() -> None:
    bad = System("bad", services=[Service("orders"), Service("auth", database="orders_db")])

    assert "FH" in build_site(bad)["checks.html"]
    assert "orders_db" in build_site(bad)["checks.html"]


def test_the_versions_of_an_event_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    former = Schema("bids", "bid", {"bid": {"type": "string"}, "sum": {"type": "int"}})
    locked = {1: former, 2: former}
    monkeypatch.setattr(EventLock, "of", lambda system: EventLock({"bid.placed": locked}))

    page = build_site(System("auction", services=[Service("bids", publishes=[BidPlaced])]))["messages/bid.placed.html"]

    versions = " ".join(re.sub(r"<[^>]+>", " ", page.partition('id="versions"')[2].partition("</table>")[0]).split())
    assert "3 declared price was added without a default" in versions
    assert "sum was removed or renamed" in versions
    assert "2 still read" in versions
    assert "1 no longer read" in versions


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(ConfigurationError, match="holds something else"):
        write_site({"index.html": "x"}, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_earlier_site_is_replaced_and_nothing_else_is_touched(tmp_path: Path) -> None:
    site = tmp_path / "site"
    write_site({"index.html": "1", "messages/gone.html": "1"}, site)
    (site / "own.txt").write_text("kept")
    (tmp_path / "outside.txt").write_text("kept")
    with (site / "files.txt").open("a") as listed:
        listed.write("../outside.txt\n")

    write_site({"index.html": "2"}, site)

    assert (site / "index.html").read_text() == "2"
    assert not (site / "messages" / "gone.html").exists()
    assert (site / "own.txt").exists()
    assert (tmp_path / "outside.txt").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="--out"):
        write_site({"index.html": "x"}, tmp_path / "file")
