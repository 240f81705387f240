"""Read-repair: a row that a view does not have yet is asked of its owner, and kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from freehold.model.errors import ConfigurationError
from freehold.model.problem import Problem
from freehold.observe.metrics import METRICS
from freehold.runtime.transaction import Tx
from freehold.runtime.view_changes import Key, Patch
from freehold.runtime.view_keeping import Kept

if TYPE_CHECKING:
    from freehold.runtime.host import Host

log = logging.getLogger(__name__)


async def repair(host: Host, kept: Kept, key: Any, tx: Tx) -> Any | None:
    """See `Tx.replica`."""
    view = kept.view
    if view.one is None:
        raise ConfigurationError(
            f"view {view.name}", "has no query for a single row", "Give View(one=…) a query of the row's owner"
        )
    row = await tx.get(view.table, key)
    if row is not None:
        return row
    try:
        told = await tx.ask(view.one(**{view.key[0]: key}))
    except Problem as problem:
        if problem.status == 404:
            return None
        raise
    patches = {told_key: row.patch for told_key, row in kept.read(view.one, [told]).items()}
    METRICS.read_repaired(host.service.name, view.name)
    if not tx.readonly:
        await kept.take(tx, patches)
        return await tx.get(view.table, key)

    async def keep() -> None:
        try:
            await host.work().run(lambda own: kept.take(own, patches))
        except Exception:
            log.exception("%s: view %s: a row that its owner told is not kept", host.service.name, view.name)

    tx.afterwards(keep)
    row = _row(kept, patches, tx)
    (await tx.session()).add(row)
    return row


def _row(kept: Kept, patches: Mapping[Key, Patch], tx: Tx) -> Any:
    """What was told as a row of the mapped class, as if it had been read."""
    ((key, patch),) = patches.items()
    tables = kept.tables
    values: dict[str, Any] = {column.name: _default(column) for column in tables.live.columns}
    values |= {name: value for name, (value, _) in patch.items()} | dict(zip(tables.key, key, strict=True))
    values[tables.version] = tables.stored(patch[tables.version][1])
    if tables.synced is not None:
        values[tables.synced] = tx.now()
    mapper = inspect(kept.view.table)
    row = mapper.class_manager.new_instance()
    for attribute in mapper.column_attrs:
        set_committed_value(row, attribute.key, values[attribute.columns[0].name])
    make_transient_to_detached(row)
    return row


def _default(column: Any) -> Any:
    return column.default.arg if column.default is not None and column.default.is_scalar else None
