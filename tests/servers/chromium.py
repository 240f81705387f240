"""Chromium, without a window: found where it is installed, otherwise Debian's package."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.servers.private import install
from tests.servers.times import got, looking, started

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a profile of its own, which goes with it. It calls nobody by itself."""
    began = looking()
    program = _program()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        started(f"Chromium {browser.version}", got(), time.monotonic() - began)
        yield browser
        browser.close()


def _program() -> str:
    if not (found := shutil.which("chromium")):
        install("chromium", "fonts-dejavu-core")
        found = shutil.which("chromium")
    if not found:
        raise RuntimeError("The tests need Chromium and none is installed. Install Debian's chromium.")
    return found
