"""What is drawn and written, as a browser shows it: diagrams of fourteen services, and Booking Rush's site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from freehold.inspect import describe
from freehold.inspect.diagrams import KINDS, Picture, pictures, to_svg
from freehold.inspect.site import build_site, write_site
from systems.booking_rush.system import system as booking_rush
from tests.unit.inspect.fourteen import fourteen

DESCRIPTION = describe(fourteen())
PICTURES = [picture for kind in KINDS for picture in pictures(DESCRIPTION, kind)]
TEXTS = """() => [...document.querySelectorAll("svg text")].map(text => {
    const box = text.parentNode.querySelector(":scope > rect");
    const inside = (box && text.parentNode.matches(".fd-node, .fd-label") ? box : text.ownerSVGElement);
    const own = text.getBoundingClientRect(), outer = inside.getBoundingClientRect();
    return {text: text.textContent, own: own.toJSON(), outer: outer.toJSON()};
})"""
BOXES = """() => [...document.querySelectorAll(".fd-node > rect, .fd-label > rect")].map(
    rect => ({text: rect.parentNode.textContent, own: rect.getBoundingClientRect().toJSON()}))"""


@dataclass(frozen=True)
class Area:
    text: str
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, text: str, rectangle: dict[str, float]) -> Area:
        return cls(text, *(rectangle[side] for side in ("left", "top", "right", "bottom")))

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: Area) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


def faults(page: Page) -> list[str]:
    """Labels that are cut, labels that overlap, and boxes that do."""
    found = page.evaluate(TEXTS)
    texts = [(Area.of(each["text"], each["own"]), Area.of(each["text"], each["outer"])) for each in found]
    cut = [f"{text.text!r} is cut" for text, outer in texts if not outer.holds(text)]
    boxes = [Area.of(each["text"], each["own"]) for each in page.evaluate(BOXES)]
    return cut + overlaps([text for text, _ in texts]) + overlaps(boxes)


def overlaps(areas: list[Area]) -> list[str]:
    return [
        f"{one.text!r} overlaps {other.text!r}"
        for index, one in enumerate(areas)
        for other in areas[:index]
        if one.meets(other)
    ]


@pytest.fixture(scope="module")
def paper(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_at_fourteen_services_no_label_overlaps_another_or_is_cut(paper: Page, picture: Picture) -> None:
    paper.set_content(f"<body style='margin:0'>{to_svg(picture.drawing)}")

    assert paper.locator("svg text").count() >= 3
    assert faults(paper) == []


def test_the_measure_finds_labels_that_are_cut_and_that_overlap(paper: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.inspect.diagrams.svg._CELL", 0.4)
    picture = next(each for each in PICTURES if each.name == "saga-orders_saga")
    paper.set_content(f"<body style='margin:0'>{to_svg(picture.drawing)}")

    found = faults(paper)

    assert any("is cut" in fault for fault in found)
    assert any("overlaps" in fault for fault in found)


# --- the site ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(build_site(booking_rush), folder)
    return folder


@pytest.fixture
def reader(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield context
    context.close()


def opened(reader: BrowserContext, site: Path, name: str = "index.html") -> Page:
    page = reader.new_page()
    page.goto((site / name).as_uri())
    return page


def test_every_page_opens_from_files_alone_and_fits_a_phone(reader: BrowserContext, site: Path) -> None:
    page = reader.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))

    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        assert page.locator("h1").count() == 1, file
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, file

    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_search_by_keyboard_leads_to_a_table(reader: BrowserContext, site: Path) -> None:
    page = opened(reader, site, "messages/booking.reserved.html")

    page.keyboard.press("/")
    page.keyboard.type("seat_zones")
    assert page.get_by_role("option").count() >= 1
    page.keyboard.press("Enter")
    page.wait_for_url("**/services/ticket.html#table-seat_zones")

    assert page.locator("#table-seat_zones").get_attribute("open") is not None


def test_search_says_when_there_is_nothing_and_goes_away(reader: BrowserContext, site: Path) -> None:
    page = opened(reader, site)

    page.locator("#search").fill("there is no such thing")
    assert page.get_by_text("Nothing found").is_visible()
    page.keyboard.press("Escape")

    assert not page.locator("#found").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_until_the_reader_chooses(browser: Browser, site: Path, scheme: Any) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())

    def colours() -> tuple[str, str]:
        paper = "getComputedStyle(document.body).backgroundColor"
        ink = "getComputedStyle(document.querySelector('.fd text')).fill"
        return page.evaluate(paper), page.evaluate(ink)

    before = colours()
    page.get_by_role("button").click()
    after = colours()
    page.reload()

    assert before[0] != after[0]
    assert before[1] != after[1]
    assert (before[0] == "rgb(255, 255, 255)") == (scheme == "light")
    assert colours() == after
    context.close()
