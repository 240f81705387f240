"""The feature flags of one running service, kept in its own database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.errors import ConfigurationError
from freehold.model.flags import Rollout

if TYPE_CHECKING:
    from freehold.runtime.host import Host
    from freehold.runtime.transaction import Tx

FRESH = timedelta(seconds=1)


class Flags:
    """Reads the flags at most once a second, all of them together; sets them with an audit row.

    So another process acts on a new setting within a second, and the one that set it at once.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._table = host.tables.flags
        self._declared = {flag.name: flag for flag in host.service.flags}
        self._rollouts: Mapping[str, Rollout] = {}
        self._read_at: datetime | None = None

    async def is_on(self, name: str, user_id: Any, connect: Callable[[], Awaitable[AsyncConnection]]) -> bool:
        """Whether the flag is on for the user; None for nobody. `connect` is awaited when it has to be read.

        Raises ConfigurationError for a flag that the service does not declare.
        """
        self._require_declared(name)
        now = self._host.clock.now()
        if self._read_at is None or abs(now - self._read_at) >= FRESH:
            self._rollouts = await self._read(await connect())
            self._read_at = now
        return self._rollouts.get(name, Rollout()).includes(name, user_id)

    async def set(self, name: str, setting: str, tx: Tx) -> Rollout:
        """Set the flag in this transaction: `on`, `off`, `25%` or `user:ID`; for whom it is on then.

        Raises ConfigurationError for a flag that the service does not declare, or a setting that is none.
        """
        self._require_declared(name)
        Rollout().after(setting)
        connection, table = await tx.connection(), self._table
        off = {"name": name, "percent": 0, "users": [], "updated_at": tx.now()}
        await connection.execute(self._host.engine.insert_new(table, [off], key=["name"]))
        found = (await connection.execute(select(table).where(table.c.name == name).with_for_update())).one()
        before = Rollout(found.percent, frozenset(found.users))
        after = before.after(setting)
        values = {"percent": after.percent, "users": sorted(after.users), "updated_at": tx.now()}
        await connection.execute(update(table).where(table.c.name == name).values(values))
        tx.audit("set", "feature_flag", name, before={"on": str(before)}, after={"on": str(after)})
        tx.on_commit(self._forget)
        return after

    async def all(self, tx: Tx) -> dict[str, Rollout]:
        """For whom each declared flag is on, as the database says."""
        found = await self._read(await tx.connection())
        return {name: found.get(name, Rollout()) for name in self._declared}

    def _forget(self) -> None:
        self._read_at = None

    async def _read(self, connection: AsyncConnection) -> dict[str, Rollout]:
        rows = await connection.execute(select(self._table))
        return {row.name: Rollout(row.percent, frozenset(row.users)) for row in rows}

    def _require_declared(self, name: str) -> None:
        if name not in self._declared:
            raise ConfigurationError(
                f"flag {name!r}",
                f"{self._host.service.name} declares none of this name",
                f"It has: {', '.join(self._declared)}" if self._declared else "Add it to Service(flags=[…])",
            )
