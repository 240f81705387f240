"""A lease: one process at a time does a thing, and another takes over when it dies.

A row with an epoch rather than a lock on the session, which would pin a connection and break behind a connection
pooler.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, ColumnElement, exists, select, update

from freehold.runtime.host import Host

TTL = timedelta(seconds=10)


class Lease:
    """The right to do `name` for a service, held until it is released or not renewed in time.

    Every take-over raises the epoch; a statement that carries `fence()` does nothing once somebody else has taken over.

    Args:
        host: the running service.
        name: what is leased, e.g. `relay`.
        ttl: how long it holds without renewal.
    """

    def __init__(self, host: Host, name: str, ttl: timedelta = TTL) -> None:
        self._host = host
        self._table = host.tables.leases
        self._name = name
        self.ttl = ttl
        self.epoch: int | None = None
        self._fresh_until = 0.0

    async def acquire(self) -> bool:
        """Take the lease if it is free, expired, ours, or our dead predecessor's."""
        if self.epoch is None and await self._is_anothers():
            return False
        try:
            self.epoch = await self._take()
        except Exception as error:
            if not self._host.engine.is_conflict(error):
                raise
            self.epoch = None  # somebody else is taking it at this moment
        return self.epoch is not None

    async def keep(self) -> bool:
        """Like `acquire`, and costs nothing for a third of the time that it was acquired for."""
        now = asyncio.get_running_loop().time()
        if self.epoch is not None and now < self._fresh_until:
            return True
        if not await self.acquire():
            return False
        self._fresh_until = now + self.ttl.total_seconds() / 3
        return True

    async def _is_anothers(self) -> bool:
        """A look that costs no write transaction: whoever stands by looks often."""
        table = self._table
        async with self._host.engine.read() as connection:
            held = select(table.c.name).where(table.c.name == self._name, ~self._free(self._host.clock.now()))
            return await connection.scalar(held) is not None

    def _free(self, now: datetime) -> ColumnElement[bool]:
        table = self._table
        # Too far ahead to be true: left behind by a clock that was wrong, and to be waited for by nobody.
        expired = (table.c.expires_at < now) | (table.c.expires_at > now + 60 * self.ttl)
        return expired | table.c.holder.in_([self._host.identity, self._host.predecessor])

    async def _take(self) -> int | None:
        table, now = self._table, self._host.clock.now()
        values = {"holder": self._host.identity, "expires_at": now + self.ttl}
        async with self._host.engine.write() as connection:
            await connection.execute(
                self._host.engine.insert_new(
                    table, [{"name": self._name, "holder": "", "epoch": 0, "expires_at": now - self.ttl}], key=["name"]
                )
            )
            condition = table.c.name == self._name
            taken = await connection.execute(
                update(table).where(condition & self._free(now)).values(epoch=table.c.epoch + 1, **values)
            )
            if taken.rowcount == 0:
                return None
            epoch: int | None = await connection.scalar(select(table.c.epoch).where(condition))
        return epoch

    async def renew(self) -> bool:
        """Hold it for another `ttl`; False when somebody else has taken over."""
        async with self._host.engine.write() as connection:
            renewed = await connection.execute(
                update(self._table).where(self._mine()).values(expires_at=self._host.clock.now() + self.ttl)
            )
        return renewed.rowcount == 1

    async def release(self) -> None:
        """Let others have it at once."""
        async with self._host.engine.write() as connection:
            await connection.execute(
                update(self._table).where(self._mine()).values(expires_at=self._host.clock.now() - self.ttl)
            )
        self.epoch = None

    def fence(self, epoch: BindParameter[int] | None = None) -> ColumnElement[bool]:
        """True in SQL as long as this holder's epoch, or the one given as a parameter, is the current one."""
        return exists(select(self._table.c.name).where(self._mine(epoch)))

    def _mine(self, epoch: BindParameter[int] | None = None) -> ColumnElement[bool]:
        table = self._table
        current = table.c.epoch == (self.epoch if epoch is None else epoch)
        return (table.c.name == self._name) & current & (table.c.holder == self._host.identity)
