"""The rules' pages: they are part of the documentation, and come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_INSTALLED: Final = Path(__file__).with_name("pages")
_IN_THE_REPOSITORY: Final = Path(__file__).parents[3] / "docs" / "reference" / "rules"


def page(code: str) -> str:
    """The text of a rule's page, as Markdown."""
    return _file(code).read_text(encoding="utf-8")


def address(code: str, base: str = "") -> str:
    """Where a rule's page can be read: below the base address, or the file that is installed."""
    return f"{base.rstrip('/')}/{code}.md" if base else _file(code).as_uri()


def _file(code: str) -> Path:
    installed = _INSTALLED / f"{code}.md"
    return installed if installed.exists() else _IN_THE_REPOSITORY / f"{code}.md"
