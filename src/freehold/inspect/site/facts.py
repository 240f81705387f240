"""Everything that the site tells of a system, gathered once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from freehold.deploy.given import provided_to
from freehold.http.declared import openapi_documents
from freehold.inspect.asyncapi import asyncapi
from freehold.inspect.catalogue import Catalogue, Entry, catalogue
from freehold.inspect.check import verify
from freehold.inspect.describe import describe
from freehold.inspect.diagrams import KINDS, pictures, to_svg
from freehold.inspect.event_lock import Entries, EventLock
from freehold.inspect.finding import Violation
from freehold.model.system import System

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a system.

    Args:
        description: what `describe` says.
        messages: its catalogue.
        versions: each message's schemas by version, those in events.lock and those declared.
        openapi: each service's document, by name.
        gateway: that of the gateway.
        asyncapi: the AsyncAPI document.
        violations: what `freehold check` reports.
        drawings: SVG to put into a page, by the diagram's name.
    """

    description: Document
    messages: Catalogue
    versions: Entries
    openapi: dict[str, Document]
    gateway: Document
    asyncapi: Document
    violations: list[Violation]
    drawings: dict[str, str]

    def entries(self, kind: str) -> list[Entry]:
        """The events, or the commands."""
        return [entry for entry in self.messages.entries.values() if entry.kind == kind]


def gather(system: System) -> Facts:
    """Look at the system's declarations from every side; nothing runs and no database is opened."""
    description = describe(system)
    messages = catalogue(system)
    services, gateway = openapi_documents(system, provided_to)
    found = [picture for kind in KINDS for picture in pictures(description, kind)]
    for name in description["services"]:
        found += [picture for kind in ("events", "calls") for picture in pictures(description, kind, name)]
    return Facts(
        description=description,
        messages=messages,
        versions=(EventLock.of(system) or EventLock({})).with_declared(system).entries,
        openapi=services,
        gateway=gateway,
        asyncapi=asyncapi(system, messages),
        violations=verify(system),
        drawings={picture.name: to_svg(picture.drawing, alone=False) for picture in found if picture.drawing.boxes},
    )
