"""Reads the rules' pages: their examples, written and imported as printed, and what they allow."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from freehold import System
from tests.docs.documents import DOCS, write_files

RULES = DOCS / "reference" / "rules"
PACKAGES = ("shop", "auth", "orders")


def sections(page: Path) -> dict[str, str]:
    """What stands below each heading of the second level."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def configuration(page: Path) -> dict[str, Any]:
    """The `[check.rules]` that the page prints."""
    block = re.search(r"^```toml\n(.*?)^```$", sections(page)["Configuration"], re.DOTALL | re.MULTILINE)
    assert block is not None, page.name
    rules: dict[str, Any] = tomllib.loads(block[1])["check"]["rules"]
    return rules


@contextmanager
def example(page: Path, heading: str, folder: Path) -> Iterator[System | None]:
    """The system of one of the page's examples, which lies in the folder; None where the example is none."""
    folder.mkdir()
    (folder / "example.md").write_text(sections(page)[heading])
    files = write_files(folder / "example.md", folder)
    if not any(file.suffix == ".py" for file in files):
        yield None
        return
    _forget()
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("shop").system
    finally:
        sys.path.remove(str(folder))
        _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        del sys.modules[name]
