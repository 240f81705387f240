"""Synchronous calls: which service asks which other one what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from freehold.inspect.diagrams.drawing import (
    Box,
    Description,
    Drawing,
    Link,
    Mark,
    Picture,
    Row,
    colours,
    mermaid,
    quoted,
)

LEGEND: tuple[tuple[Mark, str], ...] = (("solid", "asks, and waits for the answer"),)


@dataclass(frozen=True, slots=True)
class Call:
    """A query that one service asks another."""

    asker: str
    answerer: str
    query: str


def calls(description: Description) -> Iterator[Call]:
    """Every query with everybody who asks it; without those that nobody answers."""
    for asker, declared in description["services"].items():
        for query in declared["asks"]:
            answerer, dot, name = query.partition(".")
            if dot:
                yield Call(asker, answerer, name)


def call_flow(description: Description, service: str | None) -> Picture:
    """Who asks whom, or what this service asks and is asked."""
    found = [each for each in calls(description) if service in (None, each.asker, each.answerer)]
    title = f"{service or description['title']}: synchronous calls"
    return Picture(f"calls-{service}" if service else "calls", _mermaid(found), _drawing(description, found, title))


def _drawing(description: Description, found: list[Call], title: str) -> Drawing:
    colour = colours(description)
    asked: dict[str, dict[str, Row]] = {}
    for each in found:
        asked.setdefault(each.answerer, {})[each.query] = Row(each.query)
    asking = {each.asker for each in found}
    boxes = [
        Box(name, name, list(asked.get(name, {}).values()), colour[name])
        for name in description["services"]
        if name in asked or name in asking
    ]
    links = [Link(each.asker, each.answerer, "", each.query, colour=colour[each.answerer]) for each in found]
    return Drawing(title, boxes, links, LEGEND)


def _mermaid(found: list[Call]) -> str:
    services = dict.fromkeys(name for each in found for name in (each.asker, each.answerer))
    pairs: dict[tuple[str, str], list[str]] = {}
    for each in found:
        pairs.setdefault((each.asker, each.answerer), []).append(each.query)
    lines = [f"s_{name}[{quoted(name)}]" for name in services]
    lines += [f"s_{asker} -->|{quoted('<br/>'.join(queries))}| s_{other}" for (asker, other), queries in pairs.items()]
    return mermaid("flowchart LR", lines)
