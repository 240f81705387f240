"""A condition in the words of each database: what a revision says where a declaration knows its columns' types."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement


class _Spelled(ColumnElement[bool]):
    """SQL text, and another for SQLite."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, text: str, sqlite: str) -> None:
        self.text = text
        self.sqlite = sqlite


@compiles(_Spelled, "sqlite")
def _for_sqlite(element: _Spelled, *_: Any, **__: Any) -> str:
    return element.sqlite


@compiles(_Spelled)
def _for_others(element: _Spelled, *_: Any, **__: Any) -> str:
    return element.text


def spelled(text: str, *, sqlite: str) -> ColumnElement[bool]:
    """A condition of a CHECK that SQLite says differently, as `freehold revision` writes it.

        op.create_check_constraint("rate", "shops", freehold.spelled("rate <= 100", sqlite="rate <= 10000"))

    SQLite keeps decimals as scaled integers, so that what they are compared with is scaled there, too.

    Args:
        text: SQL for every other database; it is not changed or escaped.
        sqlite: SQL for SQLite.
    """
    return _Spelled(text, sqlite)
