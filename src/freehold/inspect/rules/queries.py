"""Queries: each that is asked has one service that answers, and no answer hangs on a chain of others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from freehold.inspect.calls import Call, entries
from freehold.inspect.finding import Finding, Rule
from freehold.inspect.survey import Survey


def asked_but_never_answered(survey: Survey) -> Iterator[Finding]:
    for service in survey.services:
        for query in service.asks:
            if survey.system.answerer(query) is None:
                yield Finding(
                    f"service {service.name}",
                    f"asks {query.__name__}, which no service answers",
                    f"Answer it with @service.answers({query.__name__}) in the service that knows",
                    survey.place_of_service(service),
                )


def answered_by_two(survey: Survey) -> Iterator[Finding]:
    asked = dict.fromkeys(query for service in survey.services for query in service.answered)
    for query in asked:
        answerers = [service for service in survey.services if query in service.answered]
        if len(answerers) > 1:
            yield Finding(
                f"query {query.__name__}",
                f"is answered by {' and '.join(service.name for service in answerers)}",
                "Keep the answer of the service that owns the data",
                survey.source.of(answerers[1].answered[query].function),
            )


def calls_in_a_circle(survey: Survey) -> Iterator[Finding]:
    found: set[tuple[str, ...]] = set()
    for service in survey.services:
        for entry in entries(service):
            for path in survey.calls.paths(entry):
                chain = tuple(call.query.__name__ for call in path)
                if path[-1].answerer is service and chain not in found:
                    found.add(chain)
                    yield Finding(
                        " → ".join([service.name, *(call.answerer.name for call in path)]),
                        f"is a circle of calls, begun by {entry.name}: {_told(path)}",
                        "Let one of them send what the other needs along, or keep a view of it",
                        survey.source.of(entry.function),
                    )


def long_path_without_fallback(survey: Survey) -> Iterator[Finding]:
    found: set[tuple[str, ...]] = set()
    for service in survey.services:
        for entry in entries(service):
            for path in survey.calls.paths(entry):
                for first, second in pairwise(path):
                    pair = first.asker.name, first.query.__name__, second.query.__name__
                    if pair in found or second.answerer is first.asker or _held(first, second):
                        continue
                    found.add(pair)
                    asked, middle = second.query.__name__, second.asker.name
                    yield Finding(
                        f"{first.asker.name} → {first.answerer.name} → {second.answerer.name}",
                        f"has neither a fallback nor a shorter time-out at its end: {_told((first, second))}",
                        f"Give {asked} a timeout below {first.query.__query__.timeout:g} seconds, declare "
                        f"@{middle}.fallback({asked}), or keep a view in {middle}",
                        survey.source.of(first.answerer.answered[first.query].function),
                    )


def _held(first: Call, second: Call) -> bool:
    """Whether the one in the middle, or the first, still has an answer when the last one is slow."""
    waits, own = first.query.__query__.timeout, second.query.__query__.timeout
    return first.has_fallback or second.has_fallback or (0 < own < waits and math.isfinite(own))


def _told(path: Sequence[Call]) -> str:
    return ", ".join(f"{call.asker.name} asks {call.query.__name__} of {call.answerer.name}" for call in path)


RULES = (
    Rule(
        "FH040",
        "asked-but-never-answered",
        "error",
        "A query that a service asks is answered by some service.",
        asked_but_never_answered,
    ),
    Rule("FH041", "answered-by-two", "error", "A query is answered by one service.", answered_by_two),
    Rule("FH042", "calls-in-a-circle", "error", "No service waits for an answer that waits for it.", calls_in_a_circle),
    Rule(
        "FH043",
        "long-path-without-fallback",
        "warning",
        "A path of calls over three services has a fallback, or a time-out that ends before its caller's.",
        long_path_without_fallback,
    ),
)
