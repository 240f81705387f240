"""The virtual queue: who joins, whose turn it is, who gives up, and what becomes of a pass.

Every change of a line is made by whoever holds the event's `EventQueue` row. Only the use of a pass needs no more than
its entry: it changes nobody's position.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from hmac import compare_digest
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ColumnElement, delete, func, select, update

from freehold import BulkInsert, Problem, Tx, User, not_found, uuid7
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.event_facts import EventFacts
from systems.booking_rush.booking.queue_line import QueueLines
from systems.booking_rush.booking.queue_passes import Admission
from systems.booking_rush.booking.queue_tables import OPEN_ENTRY, RELEASED, WAITING, EntryStatus, EventQueue, QueueEntry
from systems.booking_rush.booking.rules import padded
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.tables import Base
from systems.booking_rush.ticket.contract import EventInfo


class JoinQueue(BaseModel):
    """A user's wish to wait for an event."""

    event_id: UUID
    user_id: UUID
    tenant_id: UUID | None


class Joined(BaseModel):
    """A place in the line. The token is shown this once: it is what leaving takes."""

    position: int
    token: str
    estimated_wait_seconds: int
    joined_at: datetime
    expires_at: datetime
    message: str = "You are in the queue"


def not_in_queue() -> Problem:
    """There is no open place of this user."""
    return Problem(404, "NOT_IN_QUEUE", "You are not in this event's queue")


def hash_token(token: str) -> str:
    """What is stored of a place's token."""
    return hashlib.sha256(token.encode()).hexdigest()


# --- joining ----------------------------------------------------------------------------------------------------------

_insert_entries = BulkInsert(
    Base.metadata.tables[QueueEntry.__tablename__],
    ("id", "tenant_id", "event_id", "user_id", "token_hash", "status", "number", "revision", "joined_at", "expires_at"),
)


@booking.coalesced(key=lambda wish: wish.event_id, max_batch=500)
async def join_queue(
    wishes: Sequence[JoinQueue], tx: Tx, events: EventFacts, settings: BookingSettings
) -> Sequence[Joined | Problem]:
    """Give everybody who may join the next number, in their order."""
    event = await events.get(wishes[0].event_id, tx)
    if event is None:
        return [Problem(400, "INVALID_EVENT_ID", "There is no such event") for _ in wishes]
    queue = await hold_queue(event, tx, settings)
    revision = queue.next_revision()
    taken = await _in_line({wish.user_id for wish in wishes}, queue, revision, tx)
    answers: list[Joined | Problem] = []
    rows: list[dict[str, Any]] = []
    for wish in wishes:
        refusal = _refusal(wish, event, queue, taken)
        if refusal is not None:
            answers.append(refusal)
            continue
        taken.add(wish.user_id)
        token, expires_at = secrets.token_hex(16), tx.now() + timedelta(minutes=settings.queue_entry_minutes)
        queue.waiting += 1
        queue.last_number += 1
        rows.append(
            {
                "id": uuid7(tx.now()), "tenant_id": event.tenant_id, "event_id": event.event_id,
                "user_id": wish.user_id, "token_hash": hash_token(token), "status": "waiting",
                "number": queue.last_number, "revision": revision, "joined_at": tx.now(), "expires_at": expires_at,
            }
        )  # fmt: skip
        wait = int(queue.waiting * settings.queue_seconds_per_position)
        answers.append(
            Joined(
                position=queue.waiting,
                token=token,
                estimated_wait_seconds=wait,
                joined_at=tx.now(),
                expires_at=expires_at,
            )
        )
    if rows:
        await _insert_entries(await tx.connection(), rows)
    return answers


def _refusal(wish: JoinQueue, event: EventInfo, queue: EventQueue, taken: Collection[UUID]) -> Problem | None:
    if wish.tenant_id != event.tenant_id:
        return Problem(403, "TENANT_MISMATCH", "The event is another tenant's")
    if queue.closed or event.status != "published":
        return Problem(409, "QUEUE_NOT_OPEN", "The event is not sold")
    if wish.user_id in taken:
        return Problem(409, "ALREADY_IN_QUEUE", "You are in the queue already, and keep your place")
    if queue.waiting >= queue.max_queue_size:
        return Problem(409, "QUEUE_FULL", f"{queue.waiting} wait already. Try again later")
    return None


async def _in_line(users: Collection[UUID], queue: EventQueue, revision: int, tx: Tx) -> set[UUID]:
    """Those of the users who have a place. One whose time is over is ended on the spot: its owner may join again."""
    mine = (QueueEntry.event_id == queue.event_id, QueueEntry.user_id.in_(padded(users)), OPEN_ENTRY)
    entries = list(await tx.scalars(select(QueueEntry).where(*mine)))
    overdue = [entry for entry in entries if is_overdue(entry, tx.now())]
    for entry in overdue:
        _end(entry, "lapsed", queue, revision, tx.now())
    if overdue:
        await tx.flush()
    return {entry.user_id for entry in entries if entry not in overdue}


# --- an event's queue -------------------------------------------------------------------------------------------------


async def hold_queue(event: EventInfo, tx: Tx, settings: BookingSettings) -> EventQueue:
    """The event's queue, locked; made when nobody needed it before."""
    queue = await tx.get(EventQueue, event.event_id, lock=True)
    if queue is None:
        row = {
            "event_id": event.event_id, "tenant_id": event.tenant_id,
            "max_concurrent_bookings": settings.queue_max_concurrent_bookings,
            "queue_pass_ttl_minutes": settings.queue_pass_ttl_minutes, "max_queue_size": settings.queue_max_size,
            "created_at": tx.now(), "updated_at": tx.now(),
        }  # fmt: skip
        await tx.insert_new(EventQueue, [row], key=["event_id"])
        queue = await tx.get(EventQueue, event.event_id, lock=True)
    if queue is None:
        raise not_found("The queue")
    return queue


def _tell_when_committed(event_id: UUID, tx: Tx) -> None:
    """That the line has become shorter. That it has grown moves nobody, and would be told too often."""
    tx.on_commit(partial(tx.use(QueueLines).touch, event_id))


def is_overdue(entry: QueueEntry, now: datetime) -> bool:
    """Whether an open place, or its pass, has no time left."""
    ends = entry.pass_expires_at if entry.status == "released" else entry.expires_at
    return ends is not None and ends <= now


def _end(entry: QueueEntry, status: EntryStatus, queue: EventQueue, revision: int, now: datetime) -> None:
    if entry.status == "waiting":
        queue.waiting -= 1
    entry.status, entry.revision, entry.ended_at = status, revision, now


# --- whose turn it is -------------------------------------------------------------------------------------------------


async def release_passes(event_id: UUID, tx: Tx) -> int:
    """Let as many of the first as there are passes free; how many. What has no time left lapses before.

    Passes are free up to the queue's `max_concurrent_bookings`; one is out until it is used or lapses. However many
    processes do this at once, there are never more.
    """
    queue = await tx.get(EventQueue, event_id, lock=True)
    if queue is None:
        return 0
    now, revision = tx.now(), queue.revision + 1
    lapsed = {"status": "lapsed", "ended_at": now, "revision": revision}
    passes = await _change(tx, lapsed, QueueEntry.event_id == event_id, RELEASED, QueueEntry.pass_expires_at <= now)
    waits = await _change(tx, lapsed, QueueEntry.event_id == event_id, WAITING, QueueEntry.expires_at <= now)
    free = min(queue.max_concurrent_bookings - await _passes_out(event_id, tx), queue.waiting - waits)
    released = 0
    if free > 0 and not queue.closed:
        line = select(QueueEntry.id).where(QueueEntry.event_id == event_id, WAITING).order_by(QueueEntry.number)
        ends = (now + timedelta(minutes=queue.queue_pass_ttl_minutes)).replace(microsecond=0)  # as tokens tell it
        turn = {"status": "released", "released_at": now, "pass_expires_at": ends, "revision": revision}
        released = await _change(tx, turn, QueueEntry.id.in_(line.limit(free)))
    if passes + waits + released:
        queue.revision = revision
        queue.waiting -= waits + released
        _tell_when_committed(event_id, tx)
    return released


async def _passes_out(event_id: UUID, tx: Tx) -> int:
    out = select(func.count()).select_from(QueueEntry).where(QueueEntry.event_id == event_id, RELEASED)
    return int(await tx.scalar(out))


async def _change(tx: Tx, values: dict[str, Any], *which: ColumnElement[bool]) -> int:
    changing = update(QueueEntry).where(*which).values(values).execution_options(synchronize_session=False)
    changed: int = (await tx.execute(changing)).rowcount  # type: ignore[attr-defined]
    return changed


async def queues_at_work(tx: Tx) -> list[UUID]:
    """The events somebody waits for, or that have passes with no time left."""
    waited_for = select(EventQueue.event_id).where(EventQueue.waiting > 0)
    overdue = select(QueueEntry.event_id).where(RELEASED, QueueEntry.pass_expires_at <= tx.now())
    return sorted({*await tx.scalars(waited_for), *await tx.scalars(overdue.distinct())})


async def forget_ended(before: datetime, most: int, tx: Tx) -> int:
    """Delete some places that ended before this time; how many."""
    old = select(QueueEntry.id).where(QueueEntry.ended_at < before).limit(most)
    removing = delete(QueueEntry).where(QueueEntry.id.in_(old)).execution_options(synchronize_session=False)
    removed: int = (await tx.execute(removing)).rowcount  # type: ignore[attr-defined]
    return removed


# --- passes -----------------------------------------------------------------------------------------------------------


async def usable_passes(pass_ids: Collection[UUID], tx: Tx) -> set[UUID]:
    """Those of the passes that are out, held until the transaction ends."""
    if not pass_ids:
        return set()
    out = (QueueEntry.id.in_(padded(pass_ids)), RELEASED, QueueEntry.pass_expires_at > tx.now())
    return set(await tx.scalars(select(QueueEntry.id).where(*out).order_by(QueueEntry.id).with_for_update()))


async def use_passes(pass_ids: Collection[UUID], tx: Tx) -> None:
    """These passes, which are held, have done their work."""
    if pass_ids:
        await _change(tx, {"status": "used", "ended_at": tx.now()}, QueueEntry.id.in_(padded(pass_ids)))


async def admit(admission: Admission, tx: Tx) -> None:
    """Use a buyer's pass. Raises the Problem of one who may not pass."""
    usable = await usable_passes([admission.pass_id] if admission.pass_id else [], tx)
    refused = admission.refusal(usable)
    if refused is not None:
        raise refused.problem
    await use_passes(usable, tx)


# --- giving up --------------------------------------------------------------------------------------------------------


async def leave(event_id: UUID, caller: User, token: str, tx: Tx) -> None:
    """Give up one's place, or one's pass. Raises Problem: 404 without one, 403 for another's token."""
    queue = await tx.get(EventQueue, event_id, lock=True)
    mine = (QueueEntry.event_id == event_id, QueueEntry.user_id == caller.id, OPEN_ENTRY)
    entry = None if queue is None else await tx.find(QueueEntry, *mine, lock=True)
    if queue is None or entry is None or is_overdue(entry, tx.now()):
        raise not_in_queue()
    if not compare_digest(entry.token_hash, hash_token(token)):
        raise Problem(403, "INVALID_TOKEN", "The token is not that of your place")
    _end(entry, "left", queue, queue.next_revision(), tx.now())
    _tell_when_committed(event_id, tx)


async def forget_user(user_id: UUID, tx: Tx) -> None:
    """Take a user out of every queue; their passes are worth nothing any more."""
    mine = (QueueEntry.user_id == user_id, OPEN_ENTRY)
    events = sorted(set(await tx.scalars(select(QueueEntry.event_id).where(*mine))))
    for event_id in events:
        queue = await tx.get(EventQueue, event_id, lock=True)
        entry = await tx.find(QueueEntry, *mine, QueueEntry.event_id == event_id, lock=True)
        if queue is not None and entry is not None:
            gone: EntryStatus = "left" if entry.status == "waiting" else "lapsed"
            _end(entry, gone, queue, queue.next_revision(), tx.now())
            _tell_when_committed(event_id, tx)


async def drop_queue(event_id: UUID, tx: Tx) -> None:
    """Close an event's queue: all places and passes lapse, and nobody joins any more."""
    tx.on_commit(partial(tx.use(EventFacts).forget, event_id))
    queue = await tx.get(EventQueue, event_id, lock=True)
    if queue is None:
        return
    queue.closed, queue.waiting, revision = True, 0, queue.next_revision()
    lapsed = {"status": "lapsed", "ended_at": tx.now(), "revision": revision}
    await _change(tx, lapsed, QueueEntry.event_id == event_id, OPEN_ENTRY)
    _tell_when_committed(event_id, tx)
