"""A system as data: what the declarations say, and nothing else."""

from __future__ import annotations

from typing import Any

from freehold.inspect.shapes import fields, shape
from freehold.inspect.survey import Survey
from freehold.inspect.tables import describe_table
from freehold.model.derived import Derived
from freehold.model.messages import Command, Event, Message, Query
from freehold.model.saga import Saga, Step, is_command
from freehold.model.service import FRAMEWORK_TABLES, Service
from freehold.model.system import System
from freehold.model.view import View


def describe(system: System) -> dict[str, Any]:
    """The system as plain data, ready for JSON; the same declarations give the same description."""
    survey = Survey(system)
    return {
        "system": system.name,
        "title": system.title or system.name,
        "version": system.version,
        "services": {service.name: _service(survey, service) for service in system.services},
        "events": {name: _message(event) for name, event in sorted(system.events().items())},
        "commands": _commands(survey),
        "queries": _queries(survey),
        "sagas": [_saga(service, saga) for service, saga in system.sagas()],
        "views": [_view(survey, service, view) for service in system.services for view in service.views]
        + [_derived(service, view) for service in system.services for view in service.derived],
    }


def _view(survey: Survey, service: Service, view: View) -> dict[str, Any]:
    return {
        "name": view.name,
        "service": service.name,
        "table": view.table.__tablename__,
        "key": list(view.key),
        "sources": [event.__message__.name for event in view.sources],
        "rebuild": [_query_name(survey, query) for query in view.snapshots],
        "one": _query_name(survey, view.one) if view.one else None,
    }


def _derived(service: Service, view: Derived) -> dict[str, Any]:
    events = dict.fromkeys(event.__message__.name for source in view.followed for event in source.sources)
    return {
        "name": view.name,
        "service": service.name,
        "table": view.table.__tablename__,
        "key": [view.key],
        "sources": list(events),
        "follows": [source.name for source in view.followed],
    }


def _service(survey: Survey, service: Service) -> dict[str, Any]:
    consumed = service.consumes()
    return {
        "description": service.description,
        "database": service.database,
        "publishes": [event.__message__.name for event in service.publishes],
        "consumes": [message.__message__.name for message in consumed if issubclass(message, Event)],
        "handles": [message.__message__.name for message in consumed if issubclass(message, Command)],
        "asks": [_query_name(survey, query) for query in service.asks],
        "answers": [query.__query__.name for query in service.answered],
        "tables": {
            table.name: describe_table(survey, service, table)
            for table in sorted(service.metadata.tables.values(), key=lambda table: table.name)
        },
        "framework_tables": [service.table_names.get(name, name) for name in FRAMEWORK_TABLES],
        "sagas": [saga.name for saga in service.sagas],
        "jobs": [job.name for job in service.jobs] + _toolkit_jobs(service),
        "routes": [
            {"method": method, "path": path, "access": str(access) if access else None}
            for method, path, access in dict.fromkeys(
                (e.method, e.written, e.access) for e in survey.endpoints(service)
            )
        ],
    }


def _toolkit_jobs(service: Service) -> list[str]:
    """What the toolkit itself does for a service, besides what the service declares."""
    return [
        *("outbox_relay", "inbox_retry", "delayed_publisher", "retention"),
        *(["saga_timeout_worker"] if service.sagas else []),
    ]


def _message(message: type[Message]) -> dict[str, Any]:
    spec = message.__message__
    return {"topic": spec.topic, "key": spec.key, "version": spec.version, "fields": fields(message)}


def _commands(survey: Survey) -> dict[str, Any]:
    commands = {
        message.__message__.name: (message, service.name)
        for service in survey.services
        for message in service.consumes()
        if issubclass(message, Command)
    }
    return {name: {"handler": service, **_message(command)} for name, (command, service) in sorted(commands.items())}


def _queries(survey: Survey) -> dict[str, Any]:
    asked = [query for service in survey.services for query in (*service.answered, *service.asks)]
    return {_query_name(survey, query): _query(survey, query) for query in dict.fromkeys(asked)}


def _query(survey: Survey, query: type[Query[Any]]) -> dict[str, Any]:
    spec = query.__query__
    return {
        "method": spec.method,
        "path": spec.path,
        "timeout": spec.timeout,
        "idempotent": spec.idempotent,
        "fields": fields(query),
        "answer": shape(spec.answer._type),
        "asked_by": [service.name for service in survey.services if query in service.asks],
    }


def _query_name(survey: Survey, query: type[Query[Any]]) -> str:
    """`service.Query`, or the bare name of a query that nobody answers."""
    answerer = survey.system.answerer(query)
    return f"{answerer.name}.{query.__query__.name}" if answerer else query.__query__.name


def _saga(service: Service, saga: Saga) -> dict[str, Any]:
    return {
        "name": saga.name,
        "service": service.name,
        "version": saga.version,
        "key": saga.key,
        "starts_on": saga.starts_on.__message__.name if saga.starts_on else None,
        "deadline": saga.limit.total_seconds() if saga.limit else None,
        "steps": [_step(step) for step in saga.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    limit = step.limit
    return {
        "name": step.name,
        "do": _action(step.do),
        "ok": step.ok.__message__.name if step.ok else None,
        "fail": step.fail.__message__.name if step.fail else None,
        "undo": _action(step.undo),
        "undone": step.undone.__message__.name if step.undone else None,
        "timeout": limit.total_seconds() if limit else None,
        "retries": step.retries,
        "critical": step.critical,
    }


def _action(action: Any) -> str | None:
    """A command's name, or a local function's with brackets."""
    if action is None:
        return None
    name: str = action.__message__.name if is_command(action) else f"{action.__name__}()"
    return name
