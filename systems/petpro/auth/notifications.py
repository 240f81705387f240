"""What users were told: written from booking's events, read by themselves."""

from __future__ import annotations

import logging
from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Problem, Tx, User, list_rows, not_found, user, uuid7
from systems.petpro.auth.bodies import NotificationList, NotificationOut
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.rules import channels_of
from systems.petpro.auth.tables import Account, Notification
from systems.petpro.booking.contract import BookingNotification

log = logging.getLogger(__name__)


@auth.on(BookingNotification)
async def keep_notification(event: BookingNotification, tx: Tx) -> None:
    """Tell the user, through the channels that they have switched on."""
    account = await tx.get(Account, event.user_id)
    cause = tx.context.cause
    if account is None or cause is None:
        log.warning("a notification is for user %s, who is unknown", event.user_id)
        return
    tx.add(
        Notification(
            id=uuid7(),
            user_id=event.user_id,
            source_event_id=cause.event_id,
            booking_id=event.booking_id,
            type=event.type,
            title=event.title,
            content=event.content,
            channels=channels_of(account.profile.notification_prefs),
            created_at=tx.now(),
        )
    )


@auth.get("/notifications", access=user)
async def list_notifications(
    query: Annotated[NotificationList, Query()], tx: Tx, caller: User
) -> CamelListing[NotificationOut]:
    """The caller's notifications, newest first."""
    found = select(Notification).where(Notification.user_id == caller.id)
    if query.unread:
        found = found.where(Notification.is_read.is_(False))
    return CamelListing.of(
        await list_rows(
            tx,
            found,
            query,
            order_by=Notification.created_at,
            descending=True,
            show=NotificationOut.model_validate,
        )
    )


@auth.patch("/notifications/{id}/read", access=user, errors=[403, 404])
async def mark_read(id: UUID, tx: Tx, caller: User) -> NotificationOut:
    """Mark a notification as read; again changes nothing."""
    notification = await tx.get(Notification, id, lock=True)
    if notification is None:
        raise not_found("The notification", "NOTIFICATION_NOT_FOUND")
    if notification.user_id != caller.id:
        raise Problem(403, "FORBIDDEN", "This notification is somebody else's")
    if not notification.is_read:
        notification.is_read = True
        notification.read_at = tx.now()
    return NotificationOut.model_validate(notification)
