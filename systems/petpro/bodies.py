"""What the bodies of all services share: camelCase, and pages that begin with ten rows."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from freehold import CamelModel, Paging


class Body(CamelModel):
    """A request or an answer."""


class PageOf(CamelModel, Paging):
    """Query parameters of a list. Add its filters in a subclass."""

    limit: Annotated[int, Field(ge=1, le=100)] = 10
