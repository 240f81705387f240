"""Reads the documents: the files and commands that they print, so that tests can write and run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONTINUED = ", continued"
_FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(rf"(?:#|//) (?P<path>[\w./-]+\.(?:py|toml|lock))(?P<continued>{CONTINUED})?\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `path` is the file that its first line names, if any."""

    kind: str
    text: str
    path: str | None
    continued: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A line after `$`, and what it prints according to the document."""

    line: str
    output: str


def documents() -> list[Path]:
    """README and every page below docs."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(document: Path) -> Iterator[Block]:
    """Every fenced block, in order."""
    for fence in _FENCE.finditer(document.read_text()):
        text = fence["text"]
        first = _FILE.match(text)
        if first is None:
            yield Block(fence["kind"], text, None, False)
        else:
            yield Block(fence["kind"], text[first.end() :], first["path"], first["continued"] is not None)


def write_files(document: Path, folder: Path) -> list[Path]:
    """Write every block that names a file; a continued one is added to what is there."""
    files: list[Path] = []
    for block in blocks(document):
        if block.path is None:
            continue
        file = folder / block.path
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text() + "\n\n" if block.continued else ""
        file.write_text(before + block.text)
        files.append(file)
    return files


def commands(document: Path) -> list[Command]:
    """Every command of the console blocks."""
    found: list[Command] = []
    for block in blocks(document):
        if block.kind == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, _, output = part.partition("\n")
                found.append(Command(line, output))
    return found
