"""What notification does by the clock: it sends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import select

from freehold import Tx, Work
from systems.booking_rush.notification.declaration import notification
from systems.booking_rush.notification.rules import wait_before_retry
from systems.booking_rush.notification.sender import Message, NotificationSender, SendingFailed
from systems.booking_rush.notification.settings import NotificationSettings
from systems.booking_rush.notification.tables import Notification, RecipientDirectory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt: where it went, or why not. `final`: there is no use in trying again."""

    recipient: str | None = None
    error: str = ""
    final: bool = False


@notification.every(seconds=2)
async def notification_sender(work: Work, settings: NotificationSettings, sender: NotificationSender) -> None:
    """Send what is due, some at a time, until nothing is. Its lease lets one process send; a crash between sending and
    the commit sends again, under the same key.
    """
    while await _send_batch(work, settings, sender) == settings.send_batch:
        pass


async def _send_batch(work: Work, settings: NotificationSettings, sender: NotificationSender) -> int:
    """How many were due."""
    due = (
        select(Notification, RecipientDirectory)
        .outerjoin(RecipientDirectory, RecipientDirectory.user_id == Notification.user_id)
        .where(Notification.next_attempt_at <= work.now())
        .order_by(Notification.next_attempt_at, Notification.id)
        .limit(settings.send_batch)
    )
    async with work.transaction(readonly=True) as tx:
        found = [(one, to) for one, to in await tx.execute(due)]
    if found:
        timeout = settings.send_timeout_seconds
        outcomes = await asyncio.gather(*(_attempt(one, to, sender, timeout) for one, to in found))
        await work.run(partial(_record, {one.id: it for (one, _), it in zip(found, outcomes, strict=True)}))
    return len(found)


async def _attempt(
    notification: Notification, to: RecipientDirectory | None, sender: NotificationSender, timeout: float
) -> Outcome:
    if to is not None and to.deleted:
        return Outcome(error="the user is deleted", final=True)
    if to is None or to.email is None:
        return Outcome(error="the user's address is not known yet")
    message = Message(
        id=notification.id,
        type=notification.type,
        channel=notification.channel,
        key=notification.dedupe_key,
        recipient=to.email,
        subject=notification.subject or "",
        body=notification.body or "",
    )
    try:
        async with asyncio.timeout(timeout):
            await sender.send(message)
    except TimeoutError:
        return Outcome(error="the provider did not answer in time")
    except SendingFailed as error:
        return Outcome(error=f"the provider did not take it: {error}")
    except Exception as error:
        # One notification that trips the sender does not hold up the others. The text of such an error may be personal.
        return Outcome(error=f"the sender stumbled: {type(error).__name__}")
    return Outcome(recipient=to.email)


async def _record(outcomes: Mapping[UUID, Outcome], tx: Tx) -> None:
    settings = tx.use(NotificationSettings)
    locked = select(Notification).where(Notification.id.in_(outcomes)).order_by(Notification.id).with_for_update()
    for found in await tx.scalars(locked):
        if found.is_waiting:
            _settle(found, outcomes[found.id], settings, tx.now())


def _settle(found: Notification, outcome: Outcome, settings: NotificationSettings, now: datetime) -> None:
    if outcome.recipient is not None:
        found.sent(outcome.recipient, now)
    elif outcome.final:
        found.give_up(outcome.error, now)
    else:
        tried = found.attempts + 1
        first, longest = settings.retry_first_wait_seconds, settings.retry_longest_wait_seconds
        wait = wait_before_retry(tried, first, longest) if tried < settings.max_attempts else None
        found.missed(outcome.error, wait, now)
    if found.status == "failed":
        log.warning("notification %s of type %s is given up", found.id, found.type)
