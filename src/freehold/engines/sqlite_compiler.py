"""SQL for SQLite in which exact decimals, kept there as scaled integers, either count right or are refused."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Case, ColumnElement, Integer, case, literal_column
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import operators
from sqlalchemy.types import NullType

from freehold.model.columns import ExactDecimal

_SAME_SCALE = {
    operators.eq, operators.ne, operators.lt, operators.le, operators.gt, operators.ge, operators.add, operators.sub,
}  # fmt: skip
_PRODUCTS = {operators.mul, operators.truediv, operators.floordiv, operators.mod}


class ExactCompiler(SQLiteCompiler):
    """The compiler of the toolkit's SQLite dialect."""

    def visit_binary(self, binary: Any, *args: Any, **kw: Any) -> str:
        left, right = _scale(binary.left), _scale(binary.right)
        if left is not None or right is not None:
            self._check(binary, left, right)
        return str(super().visit_binary(binary, *args, **kw))  # type: ignore[no-untyped-call]

    def _check(self, binary: Any, left: int | None, right: int | None) -> None:
        operator = binary.operator
        if operator in _PRODUCTS:
            exact = operator is operators.mul and left is not None and isinstance(binary.right.type, Integer)
            problem = "" if exact else "multiply a decimal only by an integer, the decimal first; divide in Python"
        elif operator in _SAME_SCALE and left != right and not _untyped(binary.left, binary.right):
            problem = "both sides must be decimals of one scale"
        else:
            return
        if problem:
            raise CompileError(
                f"{binary.left} {operator.__name__} {binary.right}: on every engine to be exact, {problem}"
            )

    def visit_coalesce_func(self, fn: Any, **kw: Any) -> str:
        scale = _scale(fn)
        values = [_scaled(value, scale) if scale else value for value in fn.clauses]
        return f"coalesce({', '.join(self.process(value, **kw) for value in values)})"

    def visit_avg_func(self, fn: Any, **kw: Any) -> str:
        if any(_scale(value) is not None for value in fn.clauses):
            raise CompileError("avg of a decimal differs between engines: select its sum and count, divide in Python")
        return f"avg({self.process(fn.clause_expr.element, **kw)})"

    def visit_case(self, clause: Any, **kw: Any) -> str:
        results = [result for _, result in clause.whens]
        results += [] if clause.else_ is None else [clause.else_]
        if all(_scale(result) is None for result in results):
            return str(super().visit_case(clause, **kw))  # type: ignore[no-untyped-call]
        scale = _scale(clause)
        if scale is None:
            raise CompileError("case: give the decimal in the last condition, plain numbers only before it or in else_")
        return str(super().visit_case(_scaled_case(clause, scale), **kw))  # type: ignore[no-untyped-call]

    def visit_now_func(self, fn: Any, **kw: Any) -> str:
        return "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"  # the text that UtcDateTime keeps


def _scale(element: Any) -> int | None:
    kind = getattr(element, "type", None)
    return kind.scale if isinstance(kind, ExactDecimal) else None


def _untyped(*sides: Any) -> bool:
    return any(isinstance(getattr(side, "type", None), NullType) for side in sides)


def _scaled(value: ColumnElement[Any], scale: int) -> ColumnElement[Any]:
    """A plain whole number in the company of decimals, in their unit."""
    if _scale(value) == scale or _untyped(value):
        return value
    if isinstance(value.type, Integer):
        return value * literal_column(str(10**scale), Integer)
    raise CompileError(f"{value}: beside a decimal of {scale} decimals only the like and whole numbers may stand")


def _scaled_case(clause: Any, scale: int) -> Case[Any]:
    whens = [(condition, _scaled(result, scale)) for condition, result in clause.whens]
    otherwise = None if clause.else_ is None else _scaled(clause.else_, scale)
    return case(*whens, value=clause.value, else_=otherwise)
