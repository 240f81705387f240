"""Sagas: every effect can be taken back, every answer comes from somewhere, no step waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.survey import Survey
from freehold.model.messages import Event
from freehold.model.saga import Saga, Step, is_command
from freehold.model.service import Service
from freehold.runtime.saga_paths import Walk, walk


def step_without_undo(survey: Survey) -> Iterator[Finding]:
    for service, saga in survey.sagas():
        for position, step in enumerate(saga.steps):
            failing = next((later for later in saga.steps[position + 1 :] if _can_fail(later, saga)), None)
            if step.do is not None and step.undo is None and failing is not None:
                yield Finding(
                    _name(service, saga, step),
                    f"has an effect and no undo, and {failing.name!r} after it can fail",
                    "Give it undo=…, or move it behind the last step that can fail",
                    survey.source.of_call("Step", step.name, service),
                )


def outcome_nobody_publishes(survey: Survey) -> Iterator[Finding]:
    for service, saga in survey.sagas():
        if saga.starts_on is not None and not survey.is_published(saga.starts_on):
            yield Finding(
                f"{service.name} saga {saga.name}",
                f"starts on {saga.starts_on.__message__.name}, which no service publishes",
                "Add the event to its owner's Service(publishes=[…])",
                survey.source.of_call("Saga", saga.name, service),
            )
        for step in saga.steps:
            for event in dict.fromkeys(filter(None, (step.ok, step.fail, step.undone))):
                if not survey.is_published(event):
                    yield Finding(
                        _name(service, saga, step),
                        f"waits for {event.__message__.name}, which no service publishes",
                        "Add the event to the Service(publishes=[…]) of the one that does the step",
                        survey.source.of_call("Step", step.name, service),
                    )


def saga_name_taken(survey: Survey) -> Iterator[Finding]:
    first: dict[str, Service] = {}
    for service, saga in survey.system.sagas():
        known = first.setdefault(saga.name, service)
        if known is not service:
            yield Finding(
                f"{service.name} saga {saga.name}",
                f"has the name of a saga of {known.name}",
                "Rename one: alarms and histories tell sagas apart by name",
                survey.source.of_call("Saga", saga.name, service),
            )


def step_without_timeout(survey: Survey) -> Iterator[Finding]:
    for service, saga in survey.sagas():
        for step in saga.steps:
            if not step.local and step.timeout is None and saga.deadline is None:
                yield Finding(
                    _name(service, saga, step),
                    "waits for ever when no answer comes",
                    "Give it timeout=…, like '30s'",
                    survey.source.of_call("Step", step.name, service),
                )


def timed_out_step_without_undo(survey: Survey) -> Iterator[Finding]:
    for service, saga in survey.sagas():
        for position, step in enumerate(saga.steps):
            late = is_command(step.do) and step.undo is None and step.timeout is not None and step.critical
            if late and not any(_can_fail(later, saga) for later in saga.steps[position + 1 :]):
                yield Finding(
                    _name(service, saga, step),
                    "has no undo: when it times out, its command may still be carried out",
                    "Give it undo=…, which is sent after a timeout too",
                    survey.source.of_call("Step", step.name, service),
                )


def step_never_reached(survey: Survey) -> Iterator[Finding]:
    for service, saga, walked in _doubtful(survey):
        missed = next((step for step in saga.steps if step.name not in walked.reached), None)
        if missed is not None and not walked.stops:  # a saga that stops has told why, by its own rule
            way = max((outcome.path for outcome in walked.outcomes), key=len)
            yield Finding(
                _name(service, saga, missed),
                f"is reached on no way through the saga; the longest is {', '.join(way)}",
                "Let the steps before it wait for what the service that does them publishes",
                survey.source.of_call("Step", missed.name, service),
            )


def saga_stops(survey: Survey) -> Iterator[Finding]:
    for service, saga, walked in _doubtful(survey):
        for stop in walked.stops:
            way = ", ".join(stop.path)
            yield Finding(
                f"{service.name} saga {saga.name}, step {stop.step!r}",
                f"waits for ever for an answer that cannot come{f', after {way}' if way else ''}",
                "Wait for what the service that does the step publishes, and give it timeout=…",
                survey.source.of_call("Step", stop.step, service),
            )


def undo_never_confirmed(survey: Survey) -> Iterator[Finding]:
    for service, saga in survey.sagas():
        for step in saga.steps:
            if step.undone is not None and not _can_come(survey, step, step.undone):
                yield Finding(
                    _name(service, saga, step),
                    f"is undone when {step.undone.__message__.name} comes, which the service that undoes it does not "
                    "publish: every such saga will need attention",
                    "Wait for what that service publishes, or leave undone= out",
                    survey.source.of_call("Step", step.name, service),
                )


def _doubtful(survey: Survey) -> Iterator[tuple[Service, Saga, Walk]]:
    """The sagas with an answer that cannot come, and all their ways: where all can, success leads to every step."""
    for service, saga in survey.sagas():
        answers = [(step, event) for step in saga.steps for event in (step.ok, step.fail) if event is not None]
        if not all(_can_come(survey, *answer) for answer in answers):
            yield service, saga, walk(saga, can_come=partial(_can_come, survey))


def _can_come(survey: Survey, step: Step, event: type[Event]) -> bool:
    """A command is answered by the service that carries it out; a signal may come from anywhere."""
    action = step.undo if event is step.undone else step.do
    return not is_command(action) or survey.can_answer(action, event)


def _can_fail(step: Step, saga: Saga) -> bool:
    """Whether the step can turn the saga back: a local function may raise, the others are refused or time out."""
    timed = step.timeout is not None or saga.deadline is not None
    return step.critical and (step.local or step.fail is not None or timed)


def _name(service: Service, saga: Saga, step: Step) -> str:
    return f"{service.name} saga {saga.name}, step {step.name!r}"


RULES = (
    Rule(
        "FH060",
        "step-without-undo",
        "error",
        "A step with an effect, after which another can fail, can be undone.",
        step_without_undo,
    ),
    Rule(
        "FH061",
        "outcome-nobody-publishes",
        "error",
        "What a saga waits for is published by some service.",
        outcome_nobody_publishes,
    ),
    Rule("FH062", "saga-name-taken", "error", "A saga's name is its own in the whole system.", saga_name_taken),
    Rule(
        "FH063",
        "step-without-timeout",
        "warning",
        "A step that waits for an answer has a timeout.",
        step_without_timeout,
    ),
    Rule(
        "FH064",
        "timed-out-step-without-undo",
        "warning",
        "A command that can time out can be undone.",
        timed_out_step_without_undo,
    ),
    Rule(
        "FH065",
        "step-never-reached",
        "error",
        "Every step of a saga is reached on some way through it.",
        step_never_reached,
    ),
    Rule("FH066", "saga-stops", "error", "A saga never waits for an answer that cannot come.", saga_stops),
    Rule(
        "FH067",
        "undo-never-confirmed",
        "error",
        "The service that undoes a step publishes what confirms it.",
        undo_never_confirmed,
    ),
)
