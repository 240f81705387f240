"""Events: one publisher for each, and one for whatever somebody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.survey import Survey
from freehold.model.messages import Event, Message


def consumed_but_never_published(survey: Survey) -> Iterator[Finding]:
    for service in survey.services:
        for handler in service.handlers:
            for message in handler.messages:
                if issubclass(message, Event) and not survey.is_published(message):
                    yield Finding(
                        f"{service.name}.{handler.name}",
                        f"waits for {message.__message__.name}, which no service publishes",
                        "Add the event to its owner's Service(publishes=[…]), or remove it here",
                        survey.source.of(handler.function),
                    )
        for view in service.views:
            for event, change in view.sources.items():
                if not survey.is_published(event):
                    yield Finding(
                        f"{service.name} view {view.name}",
                        f"is kept from {event.__message__.name}, which no service publishes",
                        "Add the event to its owner's Service(publishes=[…]), or remove it here",
                        survey.source.of(change),
                    )


def published_by_two(survey: Survey) -> Iterator[Finding]:
    for name, event in survey.system.events().items():
        publishers = survey.publishers(name)
        if len(publishers) > 1:
            yield Finding(
                f"event {name}",
                f"is published by {' and '.join(service.name for service in publishers)}",
                "Let the service that owns the data publish it, and give the other an event of its own",
                survey.source.of(event),
            )


def one_name_two_classes(survey: Survey) -> Iterator[Finding]:
    first: dict[str, type[Message]] = {}
    for service in survey.services:
        for message in (*service.publishes, *service.consumes()):
            name = message.__message__.name
            known = first.setdefault(name, message)
            if known is not message:
                yield Finding(
                    f"{service.name}: {name}",
                    f"is {message.__module__}.{message.__qualname__} here and "
                    f"{known.__module__}.{known.__qualname__} elsewhere",
                    "Import it from its owner's contract instead of declaring it again",
                    survey.source.of(message),
                )


def key_may_be_missing(survey: Survey) -> Iterator[Finding]:
    messages = (message for service in survey.services for message in (*service.publishes, *service.consumes()))
    for message in dict.fromkeys(messages):
        field = message.model_fields[message.__message__.key]
        may_be_none = type(None) in (field.annotation, *get_args(field.annotation))
        if may_be_none or field.exclude:
            yield Finding(
                f"{message.__message__.name}.{message.__message__.key}",
                f"is the key that orders it, and {'may be None' if may_be_none else 'is left out of what is sent'}",
                "Take a field for key= that every one of them has",
                survey.source.of(message),
            )


RULES = (
    Rule(
        "FH030",
        "consumed-but-never-published",
        "error",
        "What a handler or a view waits for is published by some service.",
        consumed_but_never_published,
    ),
    Rule("FH031", "published-by-two", "error", "An event is published by one service.", published_by_two),
    Rule("FH032", "one-name-two-classes", "error", "A message name stands for one class.", one_name_two_classes),
    Rule(
        "FH037",
        "key-may-be-missing",
        "error",
        "Every event and command carries the key that orders it.",
        key_may_be_missing,
    ),
)
