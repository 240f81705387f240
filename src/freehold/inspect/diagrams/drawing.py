"""What a diagram holds, before anybody says where on a page it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Description = dict[str, Any]
Shape = Literal["box", "elsewhere", "pill"]
Mark = Literal["solid", "dashed"]


@dataclass(frozen=True, slots=True)
class Row:
    """A line in a box.

    Args:
        text: at the left.
        note: at the right, fainter.
        key: what links name it by; its text when empty.
        heading: it begins a part of the box.
    """

    text: str
    note: str = ""
    key: str = ""
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """Something with a name and, perhaps, rows.

    Args:
        name: what links name it by.
        title: its first line.
        rows: the lines below.
        colour: which of the palette; None for what belongs to nobody.
        shape: a `box`, something that lives `elsewhere`, or a `pill` for a beginning or an end.
    """

    name: str
    title: str
    rows: Sequence[Row] = ()
    colour: int | None = None
    shape: Shape = "box"


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow from a box, or a row in it, to another.

    Args:
        source, target: names of boxes.
        source_row, target_row: keys of their rows; empty for the title.
        label: written on it.
        colour: which of the palette; None for the colour of text.
        mark: how it is drawn.
    """

    source: str
    target: str
    source_row: str = ""
    target_row: str = ""
    label: str = ""
    colour: int | None = None
    mark: Mark = "solid"


@dataclass(frozen=True, slots=True)
class Drawing:
    """Boxes and links.

    Args:
        title: what it shows.
        boxes, links: in the order of the declarations.
        legend: what solid and dashed links mean.
        downwards: from top to bottom instead of from left to right.
        shape: how far it goes in that direction compared with its breadth, about.
    """

    title: str
    boxes: Sequence[Box]
    links: Sequence[Link]
    legend: Sequence[tuple[Mark, str]] = ()
    downwards: bool = False
    shape: float = 1.6


@dataclass(frozen=True, slots=True)
class Picture:
    """A diagram by its name, as Mermaid's text and as a drawing."""

    name: str
    mermaid: str
    drawing: Drawing


def colours(description: Description) -> dict[str, int]:
    """Each service's place in the palette."""
    return {name: index for index, name in enumerate(description["services"])}


def mermaid(kind: str, lines: Iterable[str]) -> str:
    """The text of a diagram of this kind."""
    return "\n".join([kind, *(f"    {line}" for line in lines)]) + "\n"


def quoted(text: str) -> str:
    """A text that Mermaid takes as it is."""
    return '"' + text.replace('"', "#quot;") + '"'
