"""Makes the pictures in docs/images from Booking Rush's declarations: `python -m tests.browser.screenshots`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from freehold.inspect.site import build_site, write_site
from systems.booking_rush.system import system
from tests.servers.chromium import chromium

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOWN = {
    "site-overview": ("index.html", "light", 1000),
    "site-event": ("messages/booking.reserved.html", "dark", 800),
    "site-tables": ("tables.html", "light", 1080),
}
"""By the picture's name: the page, light or dark, and how high it is."""


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        write_site(build_site(system), Path(folder))
        for name, (path, scheme, height) in SHOWN.items():
            page = browser.new_page(
                viewport={"width": 1360, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
            )
            page.goto((Path(folder) / path).as_uri())
            page.screenshot(path=IMAGES / f"{name}.png")
            page.close()


if __name__ == "__main__":
    main()
