"""The flow of events and commands: who publishes or sends them, and whom they reach."""

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

LEGEND: tuple[tuple[Mark, str], ...] = (("solid", "event"), ("dashed", "command of a saga"))

_TWO_COLUMNS = 0.1


@dataclass(frozen=True, slots=True)
class Flow:
    """A message from the service that says it to one that takes it; `taker` is None for an event that nobody takes."""

    sender: str
    message: str
    taker: str | None
    command: bool

    @property
    def mark(self) -> Mark:
        return "dashed" if self.command else "solid"


def flows(description: Description) -> list[Flow]:
    """Every way of every event and command, once."""
    return list(dict.fromkeys([*_events(description), *_commands(description)]))


def _events(description: Description) -> Iterator[Flow]:
    services = description["services"]
    for sender, declared in services.items():
        for event in declared["publishes"]:
            takers = [name for name, other in services.items() if event in other["consumes"]]
            for taker in takers or [None]:
                yield Flow(sender, event, taker, command=False)


def _commands(description: Description) -> Iterator[Flow]:
    for saga in description["sagas"]:
        for step in saga["steps"]:
            for action in (step["do"], step["undo"]):
                if action in description["commands"]:
                    yield Flow(saga["service"], action, description["commands"][action]["handler"], command=True)


def events(description: Description, service: str | None) -> Picture:
    """What all services tell each other, or what this one says and hears."""
    found = [each for each in flows(description) if service in (None, each.sender, each.taker)]
    title = f"{service or description['title']}: events and commands"
    return Picture(f"events-{service}" if service else "events", _mermaid(found), _drawing(description, found, title))


def _drawing(description: Description, found: list[Flow], title: str) -> Drawing:
    """Who says something at the left, who takes it at the right: most services are on both sides."""
    colour = colours(description)
    said: dict[str, dict[str, Row]] = {}
    taken: dict[str, dict[str, None]] = {}
    for each in found:
        row = Row(each.message, "command" if each.command else "" if each.taker else "taken by nobody")
        said.setdefault(each.sender, {})[each.message] = row
        if each.taker is not None:
            taken.setdefault(each.taker, {})[each.message] = None
    services = description["services"]
    boxes = [Box(f"{name} says", name, list(said[name].values()), colour[name]) for name in services if name in said]
    boxes += [
        Box(f"{name} takes", name, [Row(f"takes {len(taken[name])}")], colour[name])
        for name in services
        if name in taken
    ]
    links = [
        Link(f"{each.sender} says", f"{each.taker} takes", each.message, colour=colour[each.sender], mark=each.mark)
        for each in found
        if each.taker is not None
    ]
    return Drawing(title, boxes, links, LEGEND, shape=_TWO_COLUMNS)


def _mermaid(found: list[Flow]) -> str:
    services = dict.fromkeys(name for each in found for name in (each.sender, each.taker) if name)
    messages = {name: f"m{index}" for index, name in enumerate(dict.fromkeys(each.message for each in found))}
    lines = [f"s_{name}[{quoted(name)}]" for name in services]
    lines += [f"{node}([{quoted(name)}])" for name, node in messages.items()]
    for sender, message, command in dict.fromkeys((each.sender, each.message, each.command) for each in found):
        lines.append(f"s_{sender} {'-.->' if command else '-->'} {messages[message]}")
    for each in found:
        if each.taker is not None:
            lines.append(f"{messages[each.message]} {'-.->' if each.command else '-->'} s_{each.taker}")
    return mermaid("flowchart LR", lines)
