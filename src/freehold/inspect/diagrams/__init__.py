"""Diagrams of a system: tables, events, calls, sagas; as Mermaid's text and as SVG."""

from __future__ import annotations

from collections.abc import Iterator

from freehold.inspect.diagrams.calls import call_flow
from freehold.inspect.diagrams.drawing import Description, Drawing, Picture
from freehold.inspect.diagrams.er import er
from freehold.inspect.diagrams.events import events
from freehold.inspect.diagrams.sagas import saga_states
from freehold.inspect.diagrams.svg import to_svg

__all__ = ["KINDS", "Drawing", "Picture", "pictures", "to_svg"]

KINDS = ("er", "events", "calls", "sagas")


def pictures(description: Description, kind: str, service: str | None = None) -> Iterator[Picture]:
    """The diagrams of one kind.

    Args:
        description: what `describe` says of a system.
        kind: `er`: the tables of all services together, and then of each that has some; `events`; `calls`; or `sagas`:
            each one by itself.
        service: only what concerns this service.
    """
    if kind == "er":
        if service is None:
            yield er(description, None)
        for name, declared in description["services"].items():
            if service in (None, name) and declared["tables"]:
                yield er(description, name)
    elif kind == "events":
        yield events(description, service)
    elif kind == "calls":
        yield call_flow(description, service)
    else:
        for saga in description["sagas"]:
            if service in (None, saga["service"]):
                yield saga_states(description, saga)
