"""Views: each can be made anew from its owner. That its sources are published is said with the events."""

from __future__ import annotations

from collections.abc import Iterator

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.survey import Survey


def view_without_rebuild(survey: Survey) -> Iterator[Finding]:
    for service in survey.services:
        for view in service.views:
            if not view.snapshots:
                yield Finding(
                    f"{service.name} view {view.name}",
                    "has nothing to be rebuilt from: what it missed, or took wrongly, stays so",
                    "Give it rebuild=…, a query of the owner that answers a page at a time",
                    survey.source.of_call("View", view.name, service),
                )


def rebuild_never_answered(survey: Survey) -> Iterator[Finding]:
    for service in survey.services:
        for view in service.views:
            for query in view.snapshots:
                if survey.system.answerer(query) is None:
                    yield Finding(
                        f"{service.name} view {view.name}",
                        f"is rebuilt from {query.__name__}, which no service answers",
                        f"Answer it with @service.answers({query.__name__}) in the service that owns the rows",
                        survey.source.of_call("View", view.name, service),
                    )


RULES = (
    Rule("FH090", "view-without-rebuild", "warning", "A view can be rebuilt from its owner.", view_without_rebuild),
    Rule(
        "FH091",
        "rebuild-never-answered",
        "error",
        "What a view is rebuilt from is answered by some service.",
        rebuild_never_answered,
    ),
)
