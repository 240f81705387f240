"""Events: one publisher for each, one for whatever somebody waits for, and versions that every reader can read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from freehold.inspect.event_lock import FILE, Change
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


def incompatible_change(survey: Survey) -> Iterator[Finding]:
    for message, change in _changes(survey):
        if change.verdict == "incompatible":
            what = f"{change.what} " if change.what else ""
            yield Finding(
                f"{change.message} version {change.version}: {what}".rstrip(),
                change.problem,
                change.remedy,
                survey.source.of(message),
            )


def not_locked(survey: Survey) -> Iterator[Finding]:
    for message, change in _changes(survey):
        if change.verdict in ("new", "compatible"):
            what = f"{change.what} " if change.what else ""
            yield Finding(
                f"{change.message} version {change.version}: {what}".rstrip(),
                f"{change.problem}, and {FILE} does not know it" if change.what else change.problem,
                "Run `freehold events lock`, and keep the file under version control",
                survey.source.of(message),
            )


def missing_upcaster(survey: Survey) -> Iterator[Finding]:
    for message in _locked(survey):
        name, current = message.__message__.name, message.__message__.version
        oldest = min(_versions(survey, message), default=current)
        for version in range(oldest, current):
            if version not in message.__upcasters__:
                yield Finding(
                    name,
                    f"is of version {current}, and what version {version} says cannot be read",
                    f"Add an upcaster: @{message.__name__}.upcast({version})",
                    survey.source.of(message),
                )


def upcaster_of_nothing(survey: Survey) -> Iterator[Finding]:
    for message in _locked(survey):
        sent = _versions(survey, message)
        for version, function in message.__upcasters__.items():
            if version < min(sent, default=message.__message__.version):
                yield Finding(
                    message.__message__.name,
                    f"has an upcaster of version {version}, which was never sent",
                    f"Remove it, or take {FILE} back from version control",
                    survey.source.of(function),
                )


def _changes(survey: Survey) -> Iterator[tuple[type[Message], Change]]:
    if survey.lock is not None:
        for _, message in sorted(survey.system.messages().items()):
            for change in survey.lock.changes_of(message):
                yield message, change


def _locked(survey: Survey) -> list[type[Message]]:
    """The messages, where somebody keeps their versions."""
    return list(survey.system.messages().values()) if survey.lock is not None else []


def _versions(survey: Survey, message: type[Message]) -> list[int]:
    entries = survey.lock.entries if survey.lock is not None else {}
    return sorted(entries.get(message.__message__.name, ()))


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
        "FH033",
        "incompatible-message-change",
        "error",
        "A version of an event or a command that was published can be read by whoever reads another of its time.",
        incompatible_change,
    ),
    Rule(
        "FH034",
        "message-not-locked",
        "warning",
        "Every published schema is in `events.lock`, once there is one.",
        not_locked,
    ),
    Rule(
        "FH035",
        "missing-upcaster",
        "error",
        "Every version that was published can be read today.",
        missing_upcaster,
    ),
    Rule(
        "FH036",
        "upcaster-of-nothing",
        "warning",
        "An upcaster is of a version that somebody sent.",
        upcaster_of_nothing,
    ),
    Rule(
        "FH037",
        "key-may-be-missing",
        "error",
        "Every event and command carries the key that orders it.",
        key_may_be_missing,
    ),
)
