"""What goes wrong with a request, as RFC 9457 problem details."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from freehold.model.errors import Unavailable
from freehold.model.ports import Engine
from freehold.model.problem import Problem

PROBLEM_JSON = "application/problem+json"
MALFORMED = "json_invalid"
_log = logging.getLogger("freehold.http")


class FieldProblem(BaseModel):
    """One field of a request that is wrong."""

    field: str
    problem: str


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457): `code` is the stable word for programs, `detail` a sentence for people."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[FieldProblem] | None = None


def problem_response(problem: Problem) -> Response:
    """The answer that tells the problem."""
    return Response(to_json(problem.document()), problem.status, problem.headers, PROBLEM_JSON)


class Translator:
    """Turns whatever a request ends with into the problem that its sender gets.

    Args:
        invalid_status: the status for a request that does not fit its model.
        engine: tells which errors mean that the database cannot be reached; None where there is none.
        where: the service's name, for the log.
    """

    def __init__(self, invalid_status: int, engine: Engine | None, where: str) -> None:
        self._invalid_status = invalid_status
        self._engine = engine
        self._where = where

    def problem(self, error: Exception, codes: Mapping[str, str], request_id: str) -> Problem:
        """The problem for an error; what nobody expected is logged here, with the request's id."""
        if isinstance(error, Problem):
            return error
        if isinstance(error, RequestValidationError):
            return self.invalid(error.errors(), codes)
        if isinstance(error, HTTPException):
            return _from_http_exception(error, codes)
        if isinstance(error, Unavailable) or (self._engine and _passing(self._engine, error)):
            _log.warning("%s: request %s: %s", self._where, request_id, error)
            return unavailable()
        if _cannot_be_stored(error):
            return Problem(self._invalid_status, codes.get("*", "VALIDATION_ERROR"), "A value is out of range")
        _log.error("%s: request %s failed", self._where, request_id, exc_info=error)
        return Problem(500, "INTERNAL_ERROR", "Something went wrong on our side")

    def invalid(self, errors: Sequence[Any], codes: Mapping[str, str]) -> Problem:
        """The problem for input that does not fit, from Pydantic's list of errors."""
        default = codes.get("*", "VALIDATION_ERROR")
        if any(error["type"] == MALFORMED for error in errors):
            return malformed(codes)
        named = [(_field(error["loc"]), error) for error in errors]
        return Problem(
            self._invalid_status,
            next(filter(None, (_code(field, error, codes) for field, error in named)), default),
            "The request is not valid",
            errors=[{"field": field, "problem": _sentence(error)} for field, error in named],
        )

    def invalid_body(self, error: ValidationError, codes: Mapping[str, str]) -> Problem:
        """The problem for a body that does not fit its model."""
        return self.invalid(error.errors(include_url=False, include_context=False, include_input=False), codes)


def unavailable() -> Problem:
    """503: something that this needs does not answer now."""
    return Problem(
        503, "SERVICE_UNAVAILABLE", "Something this needs is not available. Try again", headers={"Retry-After": "1"}
    )


def malformed(codes: Mapping[str, str]) -> Problem:
    """400 for a body that cannot even be read."""
    return Problem(400, codes.get("*", "MALFORMED_JSON"), "The body is not valid JSON")


def _from_http_exception(error: HTTPException, codes: Mapping[str, str]) -> Problem:
    if error.status_code == 400:
        return malformed(codes)  # FastAPI says no more of a body that it cannot read
    code = HTTPStatus(error.status_code).name
    return Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))


def _passing(engine: Engine, error: BaseException) -> bool:
    return engine.is_unavailable(error) or engine.is_conflict(error)


def _cannot_be_stored(error: BaseException) -> bool:
    """The database has no room for a value: too large a number, a NUL in a text (SQLSTATE class 22)."""
    return any(
        str(getattr(cause, "sqlstate", None) or "").startswith("22") or isinstance(cause, OverflowError)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = getattr(current, "orig", None) or current.__cause__


def _field(location: Sequence[Any]) -> str:
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header", "cookie") else location
    return ".".join(map(str, parts)) or "body"


def _code(field: str, error: Any, codes: Mapping[str, str]) -> str | None:
    kind: str = error["type"]
    return codes.get(field) or (
        kind if kind.isupper() else None
    )  # PydanticCustomError("WEAK_PASSWORD", …) names its code


def _sentence(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
