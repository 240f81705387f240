"""A repeated request gets the first answer back and has no second effect.

The answer to a request with an Idempotency-Key becomes a row of `idempotency_records`, in the transaction of the
request's own effects. The row's primary key decides between two of them, whatever else they see of each other.

What is stored: every answer that is final, refusals included; see `Stored.final`. A refusal whose transaction rolled
back is stored in a transaction of its own: a crash before it loses only an answer without effects.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy import Row, Select, Text, bindparam, delete, func, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from freehold.model.errors import DeclarationError
from freehold.model.problem import Problem
from freehold.runtime.bulk import BulkInsert
from freehold.runtime.once import Identity, KeyRefused, Once, Stored
from freehold.runtime.transaction import Tx
from freehold.runtime.work import Work

if TYPE_CHECKING:
    from freehold.runtime.host import Host

COLUMNS = ("scope", "key", "fingerprint", "status", "body", "created_at", "expires_at")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class IdempotencySettings:
    """How long records live: `results`, and the marks of requests `in_progress` that nobody ended."""

    results: timedelta = timedelta(hours=24)
    in_progress: timedelta = timedelta(seconds=60)


def _returned(function: Callable[..., Awaitable[R]]) -> TypeAdapter[R]:
    unwrapped = function.func if isinstance(function, partial) else function
    kind = inspect.get_annotations(unwrapped, eval_str=True).get("return")
    if kind is None:
        raise DeclarationError(
            getattr(unwrapped, "__qualname__", repr(unwrapped)),
            "runs with an idempotency key and does not say what it returns",
            "Annotate it like '-> Accepted'",
        )
    return TypeAdapter(kind)


def _store(once: Once, kind: TypeAdapter[R], returned: R) -> Stored:
    return Stored(once.status, kind.dump_json(returned, by_alias=True, round_trip=True))


def _restore(stored: Stored, kind: TypeAdapter[R]) -> R:
    if stored.status >= 400:
        raise stored.problem()
    return kind.validate_json(stored.body)


class Idempotency:
    """The records of one running service.

    Args:
        host: the running service.
        settings: how long records live.
    """

    def __init__(self, host: Host, settings: IdempotencySettings | None = None) -> None:
        self._host = host
        self._settings = settings or IdempotencySettings()
        self._table = host.tables.idempotency
        self._insert = BulkInsert(self._table, COLUMNS)
        self._select = self._selection()
        self._running: dict[Identity, str] = {}

    # --- a request in one transaction ---------------------------------------------------------------------------------

    async def answer(self, work: Work, once: Once, handler: Callable[[Tx], Awaitable[Stored]]) -> Stored:
        """Run the handler in a transaction that also stores its answer; a repeated request gets the stored one.

        Raises the handler's errors, and KeyRefused: 422 when the key came with another request, 409 while its first one
        still runs. Of two requests at once in different processes one has effects. Like any transaction's function, the
        handler may run again after a lost race.
        """
        with self._alone(once):
            for attempt in (1, 2):
                first = await self.find(once)
                if first is not None:
                    return first
                try:
                    return await work.run(lambda tx: self._handle(once, handler, tx))
                except KeyRefused:
                    raise
                except Problem as problem:
                    return await self.refuse(work, once, problem)
                except Exception as error:
                    # Most likely the record of another process, which the second look finds.
                    if attempt == 2 or not self._host.engine.is_duplicate(error):
                        raise
        raise AssertionError("unreachable")

    async def run(self, work: Work, once: Once, function: Callable[[Tx], Awaitable[R]]) -> R:
        """Call the function in a transaction that also stores what it returns; a repeated request gets it again.

        The function's annotation says what that is. Raises like `answer`, and DeclarationError without an annotation.
        """
        fresh: list[R] = []
        kind = _returned(function)

        async def handle(tx: Tx) -> Stored:
            fresh[:] = [await function(tx)]
            return _store(once, kind, fresh[0])

        stored = await self.answer(work, once, handle)
        return fresh[0] if not once.replayed else _restore(stored, kind)

    async def _handle(self, once: Once, handler: Callable[[Tx], Awaitable[Stored]], tx: Tx) -> Stored:
        tx.on_open(lambda connection: self._lock(once, connection))
        try:
            stored = await handler(tx)
        except Problem as problem:
            if problem.keep:
                self.record(tx, [(once, Stored.of(problem))])
            raise
        self.record(tx, [(once, stored)])
        return stored

    async def _lock(self, once: Once, connection: AsyncConnection) -> None:
        if not await self._host.engine.try_lock(connection, f"idempotency:{once.scope}:{once.key}"):
            raise KeyRefused.in_progress()

    async def refuse(self, work: Work, once: Once, problem: Problem) -> Stored:
        """Store a Problem that rolled its transaction back, and raise it; or return the answer of whoever was first."""
        stored = Stored.of(problem)
        if problem.keep or not stored.final:
            raise problem

        async def keep(tx: Tx) -> None:
            self.record(tx, [(once, stored)])

        try:
            await work.run(keep)
        except Exception as error:
            if not self._host.engine.is_duplicate(error):
                raise
            first = await self.find(once)
            if first is not None:
                return first
        raise problem

    async def find(self, once: Once) -> Stored | None:
        """The stored answer, or None, looked up without a write transaction: a repeated request waits for nobody."""
        async with self._host.engine.read() as connection:
            rows = await self._rows(connection, [once.identity])
        row = rows.get(once.identity)
        if row is None:
            return None
        if self._lapsed(row, self._host.clock.now()):
            async with self._host.engine.write() as connection:
                await self._forget(connection, [row])
            return None
        return self.replay(once, row)

    @contextmanager
    def _alone(self, once: Once) -> Iterator[None]:
        """Only one request with this key runs in this process."""
        running = self._running.get(once.identity)
        if running is not None:
            raise KeyRefused.in_progress() if running == once.fingerprint else KeyRefused.reused()
        self._running[once.identity] = once.fingerprint
        try:
            yield
        finally:
            del self._running[once.identity]

    # --- a request in several transactions ----------------------------------------------------------------------------

    async def answer_in_steps(self, work: Work, once: Once, handler: Callable[[], Awaitable[Stored]]) -> Stored:
        """Run a handler that makes its own transactions, between a mark and its answer, each committed by itself.

        After a crash, or a cancellation, the mark lapses within `IdempotencySettings.in_progress`, or as soon as this
        process's successor runs, and the key runs again: the handler's steps must bear that. After an error the key is
        free at once. Raises like `answer`.
        """
        with self._alone(once):
            mark = f"{self._host.identity}/{uuid4().hex}"
            first = await self._mark(work, once, mark)
            if first is not None:
                return first
            try:
                stored = await handler()
            except Problem as problem:
                await self._finish(work, once, mark, Stored.of(problem))
                raise
            except Exception:
                await self._finish(work, once, mark, None)
                raise
            await self._finish(work, once, mark, stored)
            return stored

    async def run_in_steps(self, work: Work, once: Once, function: Callable[[], Awaitable[R]]) -> R:
        """`answer_in_steps` for a function that returns what is stored; its annotation says what that is."""
        fresh: list[R] = []
        kind = _returned(function)

        async def handle() -> Stored:
            fresh[:] = [await function()]
            return _store(once, kind, fresh[0])

        stored = await self.answer_in_steps(work, once, handle)
        return fresh[0] if not once.replayed else _restore(stored, kind)

    async def _mark(self, work: Work, once: Once, mark: str) -> Stored | None:
        """Leave a record without a status, its body the mark; or return the answer that is there."""

        async def look_and_mark(tx: Tx) -> Stored | None:
            found = await self.recall(tx, [once])
            if once.identity in found:
                return self.replay(once, found[once.identity])
            row = self._row(once, tx, None, mark, self._settings.in_progress)
            await self._insert(await tx.connection(), [row])
            return None

        try:
            return await work.run(look_and_mark)
        except Exception as error:
            if self._host.engine.is_duplicate(error):
                raise KeyRefused.in_progress() from error
            raise

    async def _finish(self, work: Work, once: Once, mark: str, stored: Stored | None) -> None:
        """Put the answer in the mark's place, or take the mark away; nothing when it lapsed and another took over."""
        table = self._table
        mine = (table.c.scope == once.scope) & (table.c.key == once.key)
        mine &= table.c.status.is_(None) & (table.c.body == mark)

        async def settle(tx: Tx) -> None:
            if stored is None or not stored.final:
                await tx.execute(delete(table).where(mine))
                return
            expires_at = tx.now() + self._settings.results
            values = {"status": stored.status, "body": stored.body.decode(), "expires_at": expires_at}
            await tx.execute(update(table).where(mine).values(**values))

        await work.run(settle)

    def _lapsed(self, row: Row[Any], now: datetime) -> bool:
        """Its time is over, or it is the mark of a process that is dead."""
        orphaned = row.status is None and row.body.startswith(f"{self._host.predecessor}/")
        return bool(row.expires_at <= now or orphaned)

    # --- the records --------------------------------------------------------------------------------------------------

    async def recall(self, tx: Tx, onces: Sequence[Once]) -> Mapping[Identity, Row[Any]]:
        """The live records of these keys, by one statement; expired ones are taken out of the way."""
        connection = await tx.connection()
        rows = await self._rows(connection, [once.identity for once in onces])
        expired = [row for row in rows.values() if self._lapsed(row, tx.now())]
        if expired:
            await self._forget(connection, expired)
            for row in expired:
                del rows[row.scope, row.key]
        return rows

    def replay(self, once: Once, record: Row[Any]) -> Stored:
        """The answer in a record. Raises KeyRefused when it is another request's, or not there yet."""
        if record.fingerprint != once.fingerprint:
            raise KeyRefused.reused()
        if record.status is None:
            raise KeyRefused.in_progress()
        once.replayed = True
        return Stored(record.status, record.body.encode())

    def record(self, tx: Tx, answers: Sequence[tuple[Once, Stored]]) -> None:
        """Store the answers at the end of the transaction. A record that is there by then fails it as a duplicate."""
        rows = [
            self._row(once, tx, stored.status, stored.body.decode(), self._settings.results)
            for once, stored in answers
            if stored.final
        ]
        if rows:
            tx.gather(self._insert, rows)

    @staticmethod
    def _row(once: Once, tx: Tx, status: int | None, body: str, lifetime: timedelta) -> dict[str, Any]:
        now = tx.now()
        return {
            "scope": once.scope, "key": once.key, "fingerprint": once.fingerprint, "status": status, "body": body,
            "created_at": now, "expires_at": now + lifetime,
        }  # fmt: skip

    async def _rows(self, connection: AsyncConnection, identities: Sequence[Identity]) -> dict[Identity, Row[Any]]:
        rows = (await connection.execute(self._select, self._wanted(identities))).all()
        return {(row.scope, row.key): row for row in rows}

    def _wanted(self, identities: Sequence[Identity]) -> dict[str, Any]:
        if self._host.engine.dialect == "postgresql":
            return {"scopes": [scope for scope, _ in identities], "keys": [key for _, key in identities]}
        if self._host.engine.dialect == "sqlite":
            return {"pairs": to_json(identities).decode()}
        return {"pairs": identities}

    def _selection(self) -> Select[Any]:
        """The records of any number of keys: the pairs are data, so that the statement is prepared once."""
        table = self._table
        if self._host.engine.dialect == "postgresql":
            arrays = [bindparam(name, type_=ARRAY(Text)) for name in ("scopes", "keys")]
            pairs = func.unnest(*arrays).table_valued("scope", "key", name="wanted").render_derived()
            same = (table.c.scope == pairs.c.scope) & (table.c.key == pairs.c.key)
            # The limit, or a table that PostgreSQL knows nothing of yet would be read as a whole.
            record = select(table).where(same).limit(1).lateral("record")
            return select(record).join_from(pairs, record, true())
        if self._host.engine.dialect != "sqlite":
            identity = tuple_(table.c.scope, table.c.key)
            return select(table).where(identity.in_(bindparam("pairs", expanding=True)))
        pairs = func.json_each(bindparam("pairs", type_=Text)).table_valued("value", name="wanted")
        scope, key = (func.json_extract(pairs.c.value, path) for path in ("$[0]", "$[1]"))
        return select(table).join_from(pairs, table, (table.c.scope == scope) & (table.c.key == key))

    async def _forget(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> None:
        table = self._table
        for row in rows:
            # The time keeps it from taking the record of somebody who replaced it meanwhile.
            mine = (table.c.scope == row.scope) & (table.c.key == row.key) & (table.c.expires_at == row.expires_at)
            await connection.execute(delete(table).where(mine))
