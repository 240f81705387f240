"""Soft references: the id of a row that another service owns, without a foreign key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Column
from sqlalchemy.orm import MappedColumn, mapped_column

from freehold.model.errors import DeclarationError

OnMissing = Literal["keep", "nullify", "delete", "report"]


@dataclass(frozen=True)
class SoftRef:
    """A reference to a column of another service: `service.table.column`, and what to do when its row is gone."""

    target: str
    on_missing: OnMissing

    @property
    def service(self) -> str:
        return self.target.split(".")[0]

    @property
    def table(self) -> str:
        return self.target.split(".")[1]

    @property
    def column(self) -> str:
        return self.target.split(".")[2]


def soft_ref(target: str, *, on_missing: OnMissing = "keep", index: bool = True, **column: Any) -> MappedColumn[Any]:
    """A column that points to `service.table.column` of another service: indexed, no foreign key, known to the checks.

    `on_missing` says what the reconciler does with a row whose target is gone: `keep` it, `nullify` the column,
    `delete` the row, or only `report` it. Other arguments are those of `mapped_column`. Raises DeclarationError.
    """
    declaration = f"soft_ref({target!r})"
    if not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){2}", target):
        raise DeclarationError(
            declaration, "the target is not service.table.column", "Write for instance soft_ref('auth.users.id')"
        )
    if on_missing not in get_args(OnMissing):
        raise DeclarationError(
            declaration, f"on_missing={on_missing!r} is unknown", f"Use one of {', '.join(get_args(OnMissing))}"
        )
    info = {**column.pop("info", {}), "soft_ref": SoftRef(target, on_missing)}
    return mapped_column(index=index, info=info, **column)


def soft_ref_of(column: Column[Any]) -> SoftRef | None:
    """The soft reference that a column carries."""
    found: SoftRef | None = column.info.get("soft_ref")
    return found
