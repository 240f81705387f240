"""Writes a new revision: what the models say beyond what the history leads to, for a person to read and correct.

What takes something away, or could refuse what processes of the version before write, becomes a second revision: it is
run in a deployment of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alembic.autogenerate import render_python_code, renderers
from alembic.operations import ops
from sqlalchemy import ColumnElement, Connection, Enum, MetaData
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine.default import DefaultDialect

from freehold.deploy.migrations.declared import declared_tables
from freehold.deploy.migrations.history import History, history_of
from freehold.deploy.migrations.operations import AddCheck, apart, operations
from freehold.deploy.migrations.schema import Difference, declared_shapes, differences, live_shapes, spelled_by
from freehold.engines.factory import open_engine
from freehold.model.errors import ConfigurationError
from freehold.model.service import Service


async def history_from_zero(history: History, declared: MetaData) -> list[Difference]:
    """How what the whole history makes of nothing differs from what is declared; in a scratch database of SQLite."""
    with TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/scratch.db")
        try:
            async with engine.change() as connection:
                return await connection.run_sync(_from_zero, history, declared)
        finally:
            await engine.close()


async def write_revision(service: Service, message: str, history: History | None = None) -> list[Path]:
    """Write what the service's models say beyond its history; the new files, none when there is nothing to say.

    Args:
        service: its declarations.
        message: what is changed and why, in a sentence.
        history: another than that beside the declarations.

    Raises:
        ConfigurationError: the message has no word in it that a file could be called by.
    """
    history, declared = history or history_of(service), declared_tables(service)
    slug = "_".join(re.findall(r"[a-z0-9]+", message.lower()))[:40].rstrip("_")
    if not slug:
        raise ConfigurationError("--message", f"{message!r} has no word in it", "Say what is changed: -m 'add a note'")
    found = await history_from_zero(history, declared)
    expanding, contracting = apart(list(operations(found, declared)), history)
    written: list[Path] = []
    number = len(history.revisions) + 1
    for steps, name, said in (
        (expanding, slug, message),
        (contracting, f"{slug}_contract" if expanding else slug, f"{message}, once the version before is gone"),
    ):
        if steps:
            history.folder.mkdir(parents=True, exist_ok=True)
            (history.folder / "__init__.py").touch()
            path = history.folder / f"{number + len(written):04}_{name}.py"
            path.write_text(_file(said, steps), encoding="utf-8")
            written.append(path)
    return written


def _from_zero(connection: Connection, history: History, declared: MetaData) -> list[Difference]:
    for revision in history.revisions:
        for step in revision.steps(connection.dialect, history.names):
            if not step.is_done(connection):
                step.run(connection)
    return list(differences(declared_shapes(declared, connection.dialect), live_shapes(connection)))


# --- as Python --------------------------------------------------------------------------------------------------------


def _file(said: str, found: Sequence[ops.MigrateOperation]) -> str:
    body = render_python_code(ops.UpgradeOps(list(found)), render_item=_rendered)
    lines = [line for line in body.splitlines() if not line.strip().startswith("# ###")]
    code = "\n".join(lines)
    imports = ["import sqlalchemy as sa"] if "sa." in code else []
    imports.append("from alembic.operations import Operations")
    if "freehold." in code:
        imports.append("\nimport freehold")
    quoted = said.replace("\\", "").replace('"', "'").rstrip(".")
    head = "\n".join(imports)
    return f'''"""{quoted[:1].upper()}{quoted[1:]}."""\n\n{head}\n\n\ndef upgrade(op: Operations) -> None:\n{code}\n'''


def _rendered(kind: str, item: Any, _: Any) -> Any:
    """How a part is written where Alembic would write what only one database has; False: as Alembic writes it."""
    if kind == "check" and not item._type_bound:
        return f"sa.CheckConstraint({_condition(item.sqltext)}, name=op.f({str(item.name)!r}))"
    if kind != "type":
        return False
    if isinstance(item, Enum) and not item.native_enum:
        values = ", ".join(map(repr, item.enums))
        checked = ", create_constraint=True" if item.create_constraint else ""
        return f"sa.Enum({values}, name={item.name!r}, native_enum=False{checked}, length={item.length})"
    if type(item).__module__.startswith("freehold."):
        return f"freehold.{item!r}"
    return False


@renderers.dispatch_for(AddCheck)
def _check_added(_: Any, operation: AddCheck) -> str:
    name, table = str(operation.constraint_name), operation.table_name
    return f"op.create_check_constraint(op.f({name!r}), {table!r}, {_condition(operation.condition)})"


def _condition(declared: ColumnElement[Any]) -> str:
    text, sqlite = (spelled_by(dialect, declared) for dialect in (DefaultDialect(), SQLiteDialect()))
    return repr(text) if text == sqlite else f"freehold.spelled({text!r}, sqlite={sqlite!r})"
