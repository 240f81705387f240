"""What the bodies of all services share: camelCase, and pages that begin with ten rows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from freehold import CamelModel, Paging, Problem


class Body(CamelModel):
    """A request or an answer."""


class PageOf(CamelModel, Paging):
    """Query parameters of a list. Add its filters in a subclass."""

    limit: Annotated[int, Field(ge=1, le=100)] = 10


def invalid(field: str, problem: str) -> Problem:
    """The 400 for a field that only the rows can tell to be wrong, in the form of those that a body alone tells."""
    errors = [{"field": field, "problem": problem}]
    return Problem(400, "VALIDATION_ERROR", "The request is not valid", errors=errors)
