"""The virtual queue as booking keeps it: one row for each event's queue, one for everybody who joined it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from freehold import soft_ref
from systems.booking_rush.booking.tables import Base

EntryStatus = Literal["waiting", "released", "used", "lapsed", "left"]


class EventQueue(Base):
    """An event's queue. Whoever changes who waits in it holds this row, so that its numbers are never guessed.

    `waiting` counts the entries that wait. `last_number` was given to whoever joined last. `revision` grows with every
    change of the line, and each entry has that of its own last change: what changed since a revision is all that
    changed, since the next one begins only after this one has committed.
    """

    __tablename__ = "event_queues"
    __table_args__ = (CheckConstraint("waiting >= 0", "waiting"),)

    event_id: Mapped[UUID] = soft_ref("ticket.events.id", primary_key=True, index=False)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    required: Mapped[bool] = mapped_column(default=False)
    max_concurrent_bookings: Mapped[int]
    queue_pass_ttl_minutes: Mapped[float]
    max_queue_size: Mapped[int]
    closed: Mapped[bool] = mapped_column(default=False)
    """Its event was cancelled: nobody joins any more."""
    waiting: Mapped[int] = mapped_column(default=0)
    last_number: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def next_revision(self) -> int:
        """For the entries that are about to change."""
        self.revision += 1
        return self.revision


class QueueEntry(Base):
    """Somebody's place: waiting → released → used or lapsed; waiting → left or lapsed. Its id is its pass's `jti`.

    `number` is the order of joining. `expires_at` ends the wait, `pass_expires_at` the pass.
    """

    __tablename__ = "queue_entries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = soft_ref("auth.tenants.id")
    event_id: Mapped[UUID] = soft_ref("ticket.events.id", index=False)
    user_id: Mapped[UUID] = soft_ref("auth.users.id")
    token_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[EntryStatus] = mapped_column(default="waiting")
    number: Mapped[int]
    revision: Mapped[int]
    joined_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    pass_expires_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


# Spelled out in the statements, so that the planner sees that the partial indexes serve them.
WAITING = QueueEntry.status == literal_column("'waiting'")
RELEASED = QueueEntry.status == literal_column("'released'")
OPEN_ENTRY = QueueEntry.status.in_((literal_column("'waiting'"), literal_column("'released'")))
Index(
    "uq_queue_entries_open", QueueEntry.event_id, QueueEntry.user_id,
    unique=True, postgresql_where=OPEN_ENTRY, sqlite_where=OPEN_ENTRY,
)  # fmt: skip
Index(
    "idx_queue_entries_line", QueueEntry.event_id, QueueEntry.number,
    postgresql_where=WAITING, sqlite_where=WAITING,
)  # fmt: skip
Index(
    "idx_queue_entries_overdue", QueueEntry.event_id, QueueEntry.expires_at,
    postgresql_where=WAITING, sqlite_where=WAITING,
)  # fmt: skip
Index(
    "idx_queue_entries_passes", QueueEntry.event_id, QueueEntry.pass_expires_at,
    postgresql_where=RELEASED, sqlite_where=RELEASED,
)  # fmt: skip
Index("idx_queue_entries_changes", QueueEntry.event_id, QueueEntry.revision)
Index("idx_queue_entries_ended", QueueEntry.ended_at)
