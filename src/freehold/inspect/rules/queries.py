"""Queries: each that is asked has one service that answers."""

from __future__ import annotations

from collections.abc import Iterator

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


RULES = (
    Rule(
        "FH040",
        "asked-but-never-answered",
        "error",
        "A query that a service asks is answered by some service.",
        asked_but_never_answered,
    ),
    Rule("FH041", "answered-by-two", "error", "A query is answered by one service.", answered_by_two),
)
