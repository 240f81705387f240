"""The catalogue of messages: what each event and command holds, who says it, and whom it reaches."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from freehold.inspect.examples import example
from freehold.model.messages import Command, Event, Message, MessageSpec
from freehold.model.saga import Saga, is_command
from freehold.model.service import Service
from freehold.model.system import System

SCHEMAS = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Part:
    """What a service has to do with a message: `how` names the handler, the saga or the view, if that is not plain."""

    service: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event or a command.

    Args:
        kind: which of the two.
        spec: name, topic, key and version.
        about: its docstring.
        schema: the name of its data's schema among those of the catalogue.
        upcasts: the former versions that its class makes the next one of.
        senders, takers: who says it and who takes it.
        example: its data as it travels, made from the types; None where their own rules refuse what can be made.
    """

    kind: Literal["event", "command"]
    spec: MessageSpec
    about: str
    schema: str
    upcasts: list[int]
    senders: list[Part]
    takers: list[Part]
    example: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every message by name, and the JSON schemas of their data, which refer to each other below `SCHEMAS`."""

    entries: dict[str, Entry]
    schemas: dict[str, Any]


def catalogue(system: System) -> Catalogue:
    """The messages of a system, events first."""
    messages = sorted(system.messages().items(), key=lambda item: (issubclass(item[1], Command), item[0]))
    # As they are written, not as they are read: Money, for one, is always a string then.
    names, definitions = models_json_schema(
        [(message, "serialization") for _, message in messages], ref_template=f"{SCHEMAS}{{model}}"
    )
    entries = {
        name: Entry(
            kind="command" if issubclass(message, Command) else "event",
            spec=message.__message__,
            about=_about(message),
            schema=names[message, "serialization"]["$ref"].removeprefix(SCHEMAS),
            upcasts=sorted(message.__upcasters__),
            senders=[part for service in system.services for part in _senders(service, message)],
            takers=[part for service in system.services for part in _takers(service, message)],
            example=example(message),
        )
        for name, message in messages
    }
    return Catalogue(entries, definitions.get("$defs", {}))


def _about(message: type[Message]) -> str:
    inherited = message.__doc__ in (Event.__doc__, Command.__doc__, Message.__doc__)
    return "" if inherited or not message.__doc__ else inspect.cleandoc(message.__doc__)


def _senders(service: Service, message: type[Message]) -> Iterator[Part]:
    if message in service.publishes:
        yield Part(service.name)
    for saga in service.sagas:
        for step in saga.steps:
            for what, action in (("step", step.do), ("undo of step", step.undo)):
                if is_command(action) and action is message:
                    yield Part(service.name, f"saga {saga.name}, {what} {step.name}")


def _takers(service: Service, message: type[Message]) -> Iterator[Part]:
    for handler in service.handlers:
        if message in handler.messages:
            yield Part(service.name, f"handler {handler.name}")
    yield from (Part(service.name, f"saga {saga.name}") for saga in service.sagas if _moves(saga, message))
    for view in service.views:
        if message in view.sources:
            yield Part(service.name, f"view {view.name}")


def _moves(saga: Saga, message: type[Message]) -> bool:
    return message in saga.listens_to()
