"""The order of assignments: MySQL makes them one after another, and what is computed later sees what was set before.

MariaDB's sessions make them all at once (SIMULTANEOUS_ASSIGNMENT), as the standard has it and the other engines do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Column
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.visitors import iterate


def in_order(setting: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The same assignments, as far as possible so that none is computed from a column that was set before it."""
    left, ordered = dict(setting), []
    while left:
        unread = (name for name in left if not any(name in _reads(value, name_) for name_, value in left.items()))
        name = next(unread, next(iter(left)))
        ordered.append((name, left.pop(name)))
    return ordered


def refuse_sequence(assignments: Iterable[tuple[str, Any]]) -> None:
    """Raises CompileError when one of the assignments is computed from a column that an earlier one has set."""
    before: set[str] = set()
    for name, value in assignments:
        if read := sorted(before & _reads(value, name)):
            raise CompileError(
                f"{name} is computed from {', '.join(read)}, which the same statement sets before it: MySQL would take "
                "the new value. Use two statements, or compute it in Python"
            )
        before.add(name)


def _reads(value: Any, own: str) -> set[str]:
    """The columns of the row that a value is computed from, but for the one that it is for."""
    if not isinstance(value, ColumnElement):
        return set()
    return {each.key for each in iterate(value) if isinstance(each, Column)} - {own}
