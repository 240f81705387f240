"""SQL that a service's files have as text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from freehold.inspect.source import Module, called

CALLS = frozenset(
    {
        *("text", "DDL", "literal_column", "exec_driver_sql", "execute", "scalar", "scalars", "stream", "read_sql"),
        *("executemany", "executescript", "fetch", "fetch_all", "fetch_one", "fetchall", "fetchrow", "fetchval"),
    }
)
"""What is called with SQL: SQLAlchemy's names, and the drivers'."""
LIGHT_TABLE = "table"
"""What makes a table of a name without declaring it."""
HOLE = "hole_"
"""Stands where a text has something that is only known at run time."""


@dataclass(frozen=True, slots=True)
class SqlText:
    """A statement, or a part of one, and the call that it is given to."""

    text: str
    node: ast.Call


def sql_texts(module: Module) -> Iterator[SqlText]:
    """Every text that the file gives to something that runs SQL, directly or by a name of the file."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = called(node)
        text = _text(module, node.args[0]) if name in CALLS or name == LIGHT_TABLE else None
        if text is not None:
            yield SqlText(f"TABLE {text}" if name == LIGHT_TABLE else text, node)


def _text(module: Module, node: ast.expr) -> str | None:
    """The text that an expression comes to, as far as the file tells."""
    text: object = None
    match node:
        case ast.Constant(value):
            text = value
        case ast.JoinedStr(parts):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in parts)
        case ast.BinOp(left, ast.Add(), right):
            sides = _text(module, left), _text(module, right)
            text = "".join(side or HOLE for side in sides) if any(sides) else None
        case ast.BinOp(left, ast.Mod()) | ast.Call(ast.Attribute(left, "format" | "strip")):
            text = _text(module, left)
        case ast.Name() | ast.Attribute():
            text = module.value(node)
    return text if isinstance(text, str) else None
