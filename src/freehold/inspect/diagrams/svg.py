"""A drawing as SVG: no script, no font and nothing else from elsewhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from freehold.inspect.diagrams.drawing import Box, Drawing, Link, Row
from freehold.inspect.diagrams.layout import Edge, Layout, Node, Point, layout

FONT = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
_CELL = 0.61  # of the size; the widest of these fonts has 0.602
_SIZE, _TITLE, _SMALL = 12.0, 13.0, 11.0
_ROW, _HEAD, _PILL = 19.0, 28.0, 30.0
_PAD, _MARGIN, _HEADING = 10.0, 16.0, 44.0
_TIP = 7.0
PALETTE = 8

_LIGHT = ("#2f6690", "#1f7a6c", "#a65a1c", "#7a4d99", "#a8405c", "#5a7a1f", "#21819f", "#806a14")
_DARK = ("#7fb2dd", "#5fc4b2", "#e2a06a", "#bf9be0", "#e58fa6", "#a9c96a", "#6fc4e0", "#cdb65a")


def _variables(colours: Sequence[str], ink: str, faint: str, paper: str, line: str) -> str:
    named = "".join(f"--fd-{index}:{colour};" for index, colour in enumerate(colours))
    return f"{named}--fd-ink:{ink};--fd-faint:{faint};--fd-paper:{paper};--fd-line:{line}"


LIGHT = _variables(_LIGHT, "#1d2329", "#5d6873", "#ffffff", "#c5ccd3")
DARK = _variables(_DARK, "#e4e8ec", "#98a4b0", "#171b20", "#46505a")
STYLE = "\n".join(
    [
        f".fd text{{font:{_SIZE:g}px {FONT};fill:var(--fd-ink)}}",
        ".fd .fd-title{font-size:15px;font-weight:600}",
        f".fd .fd-name{{font-size:{_TITLE:g}px;font-weight:600}}",
        ".fd .fd-part{font-weight:600}",
        f".fd .fd-note,.fd .fd-key{{fill:var(--fd-faint);font-size:{_SMALL:g}px}}",
        f".fd .fd-label text{{font-size:{_SMALL:g}px}}",
        ".fd .fd-label rect{fill:var(--fd-paper)}",
        ".fd-paper{fill:var(--fd-paper)}",
        ".fd-node>rect{fill:var(--fd-paper);stroke:var(--c);stroke-width:1.3}",
        ".fd-node>.fd-head{fill:var(--c);fill-opacity:.15}",
        ".fd-node>.fd-band{fill:var(--c);fill-opacity:.08}",
        ".fd-elsewhere>rect{stroke-dasharray:4 3}",
        ".fd-link path{fill:none;stroke:var(--c);stroke-width:1.3}",
        ".fd-link .fd-tip{fill:var(--c);stroke:none}",
        ".fd-dashed path:not(.fd-tip){stroke-dasharray:5 4}",
        ".fd-none{--c:var(--fd-faint)}",
        *(f".fd-c{index}{{--c:var(--fd-{index})}}" for index in range(PALETTE)),
    ]
)
"""What a page that holds drawings needs besides the variables of its colours, which are `LIGHT` or `DARK`."""

_ALONE = f"<style>.fd{{{LIGHT}}}\n@media (prefers-color-scheme:dark){{.fd{{{DARK}}}}}\n{STYLE}</style>"


def to_svg(drawing: Drawing, *, alone: bool = True) -> str:
    """The drawing's text.

    Args:
        drawing: what to draw.
        alone: with its title and its style, as a file; without them for a page that has `STYLE`.
    """
    boxes = {box.name: box for box in drawing.boxes}
    nodes = [_node(box, drawing.downwards) for box in drawing.boxes]
    edges = [_edge(link, boxes, drawing.downwards) for link in drawing.links]
    gap = (26.0, 44.0) if drawing.downwards else (56.0, 150.0)
    placed = _turned(layout(nodes, edges, gap=gap, shape=drawing.shape), drawing.downwards)
    legend, rows = _legend(drawing, max(placed.size[0], 380.0))
    top = _HEADING if alone else _MARGIN
    heading = f'<text class="fd-title" x="{_MARGIN:g}" y="26">{escape(drawing.title)}</text>'
    width = max(placed.size[0], _width(drawing.title, 15.0), 380.0) + 2 * _MARGIN
    height = top + placed.size[1] + 24.0 + rows * 20.0 + _MARGIN / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fd" role="img" aria-label="{escape(drawing.title)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        _ALONE if alone else "",
        f'<rect class="fd-paper" width="{width:.0f}" height="{height:.0f}"/>',
        heading if alone else "",
        f'<g transform="translate({_MARGIN:g} {top:g})">',
        *(_drawn(link, path, drawing.downwards) for link, path in zip(drawing.links, placed.paths, strict=True)),
        *(_box(box, placed.nodes[box.name]) for box in drawing.boxes),
        *(_label(link, at) for link, at in zip(drawing.links, placed.labels, strict=True) if at is not None),
        f'</g><g transform="translate({_MARGIN:g} {top + placed.size[1] + 24.0:.1f})">',
        *legend,
        "</g></svg>\n",
    ]
    return "\n".join(filter(None, parts))


# --- sizes ------------------------------------------------------------------------------------------------------------


def _width(text: str, size: float) -> float:
    """How wide a text is at most: every letter of these fonts fills one cell, and East Asian ones two."""
    cells = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    return cells * size * _CELL


def _size(box: Box) -> Point:
    """Width and height."""
    if box.shape == "pill":
        return _width(box.title, _TITLE) + 2.4 * _PAD, _PILL
    lines = [_width(box.title, _TITLE), *(_row_width(row) for row in box.rows)]
    return max(lines) + 2 * _PAD, _HEAD + _ROW * len(box.rows) + (4.0 if box.rows else 0.0)


def _row_width(row: Row) -> float:
    return _width(row.text, _SIZE) + (_width(row.note, _SMALL) + 1.6 * _PAD if row.note else 0.0)


def _node(box: Box, downwards: bool) -> Node:
    width, height = _size(box)
    return Node(box.name, height, width) if downwards else Node(box.name, width, height)


def _edge(link: Link, boxes: dict[str, Box], downwards: bool) -> Edge:
    source, target = boxes[link.source], boxes[link.target]
    if downwards:
        label = (_ROW, _width(link.label, _SMALL) + 8.0) if link.label else None
        return Edge(link.source, link.target, _size(source)[0] / 2, _size(target)[0] / 2, label)
    return Edge(link.source, link.target, _port(source, link.source_row), _port(target, link.target_row))


def _port(box: Box, key: str) -> float:
    """How far below the top of the box its row is."""
    if not key:
        return _HEAD / 2
    index = next(index for index, row in enumerate(box.rows) if key == (row.key or row.text))
    return _HEAD + _ROW * (index + 0.5)


def _turned(placed: Layout, downwards: bool) -> Layout:
    """With points as (x, y)."""
    if not downwards:
        return placed
    return Layout(
        placed.size[::-1],
        {name: point[::-1] for name, point in placed.nodes.items()},
        [[point[::-1] for point in path] for path in placed.paths],
        [point and point[::-1] for point in placed.labels],
    )


# --- elements ---------------------------------------------------------------------------------------------------------


def _class(colour: int | None) -> str:
    return "fd-none" if colour is None else f"fd-c{colour % PALETTE}"


def _box(box: Box, at: Point) -> str:
    width, height = _size(box)
    round_ = _PILL / 2 if box.shape == "pill" else 5
    inside = f'<rect width="{width:.1f}" height="{height:.1f}" rx="{round_:g}"/>'
    if box.shape == "pill":
        title = f'<text class="fd-name" x="{width / 2:.1f}" y="19.5" text-anchor="middle">{escape(box.title)}</text>'
    else:
        inside += f'<path class="fd-head" d="{_top(width, _HEAD, height)}"/>'
        title = f'<text class="fd-name" x="{_PAD:g}" y="18.5">{escape(box.title)}</text>'
    rows = "".join(_rows(box, width))
    return (
        f'<g class="fd-node fd-{box.shape} {_class(box.colour)}" data-name="{escape(box.name)}" '
        f'transform="translate({at[0]:.1f} {at[1]:.1f})">{inside}{title}{rows}</g>'
    )


def _top(width: float, head: float, height: float) -> str:
    """The outline of a box's head, round where the box is."""
    below = "5 5 0 0 1 -5 5" if height <= head else ""
    bottom = f"v{head - 10:.1f}a{below}h{10 - width:.1f}a5 5 0 0 1 -5 -5" if below else f"v{head - 5:.1f}h{-width:.1f}"
    return f"M0 5a5 5 0 0 1 5 -5h{width - 10:.1f}a5 5 0 0 1 5 5{bottom}z"


def _rows(box: Box, width: float) -> Iterator[str]:
    for index, row in enumerate(box.rows):
        top = _HEAD + _ROW * index
        kind = ' class="fd-part"' if row.heading else ""
        if row.heading:
            yield f'<path class="fd-band" d="M0 {top:.1f}h{width:.1f}v{_ROW:g}h{-width:.1f}z"/>'
        yield f'<text{kind} x="{_PAD:g}" y="{top + 14:.1f}">{escape(row.text)}</text>'
        if row.note:
            note = escape(row.note)
            yield f'<text class="fd-note" x="{width - _PAD:.1f}" y="{top + 14:.1f}" text-anchor="end">{note}</text>'


def _drawn(link: Link, path: Sequence[Point], downwards: bool) -> str:
    kind = f"fd-link fd-{link.mark} {_class(link.colour)}"
    between = f'data-from="{escape(link.source)}" data-to="{escape(link.target)}"'
    curve = _curve(path, downwards) if link.source != link.target else _bow(path)
    return f'<g class="{kind}" {between}><path d="{curve}"/><path class="fd-tip" d="{_tip(path, downwards)}"/></g>'


def _curve(path: Sequence[Point], downwards: bool) -> str:
    """Straight where it passes a rank, and between ranks bent so that it enters and leaves along them."""
    parts = [f"M{_at(path[0])}"]
    for before, point in pairwise(path):
        if abs(before[0] - point[0]) < 0.05 or abs(before[1] - point[1]) < 0.05:
            parts.append(f"L{_at(point)}")
            continue
        middle = (before[1] + point[1]) / 2 if downwards else (before[0] + point[0]) / 2
        one, other = (
            ((before[0], middle), (point[0], middle)) if downwards else ((middle, before[1]), (middle, point[1]))
        )
        parts.append(f"C{_at(one)} {_at(other)} {_at(point)}")
    return "".join(parts)


def _bow(path: Sequence[Point]) -> str:
    return f"M{_at(path[0])}C{_at(path[1])} {_at(path[2])} {_at(path[3])}"


def _tip(path: Sequence[Point], downwards: bool) -> str:
    """The head of the arrow; links enter a box straight."""
    x, y = path[-1]
    if downwards:
        back = -_TIP if y > path[-2][1] else _TIP
        return f"M{x:.1f} {y:.1f}l{-_TIP / 2:g} {back:g}h{_TIP:g}z"
    back = -_TIP if x > path[-2][0] else _TIP
    return f"M{x:.1f} {y:.1f}l{back:g} {-_TIP / 2:g}v{_TIP:g}z"


def _at(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _label(link: Link, at: Point) -> str:
    width = _width(link.label, _SMALL) + 6.0
    return (
        f'<g class="fd-label"><rect x="{at[0] - width / 2:.1f}" y="{at[1] - 9:.1f}" width="{width:.1f}" height="18"/>'
        f'<text x="{at[0]:.1f}" y="{at[1] + 4:.1f}" text-anchor="middle">{escape(link.label)}</text></g>'
    )


def _legend(drawing: Drawing, width: float) -> tuple[list[str], int]:
    """Its elements, and how many lines they fill."""
    parts, x, line = list[str](), 0.0, 0
    for mark, text in drawing.legend:
        size = 34.0 + _width(text, _SMALL) + 22.0
        if x and x + size > width:
            x, line = 0.0, line + 1
        y = line * 20.0
        parts.append(
            f'<g class="fd-link fd-{mark} fd-none"><path d="M{x:.1f} {y + 7:.1f}h28"/></g>'
            f'<text class="fd-key" x="{x + 34:.1f}" y="{y + 11:.1f}">{escape(text)}</text>'
        )
        x += size
    return parts, line + 1 if drawing.legend else 0
