"""How a notification leaves the house. A provider of e-mail or SMS is one more class with this method."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from uuid import UUID

from systems.booking_rush.notification.rules import Channel, NotificationType

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. Its text form shows nothing personal. `key` is the same when it is sent again after a crash."""

    id: UUID
    type: NotificationType
    channel: Channel
    key: str = field(repr=False)
    recipient: str = field(repr=False)
    subject: str = field(repr=False)
    body: str = field(repr=False)


class SendingFailed(Exception):
    """The provider did not take it. The text is kept with the notification, so it must name nobody."""


@runtime_checkable
class NotificationSender(Protocol):
    """A provider of messages."""

    async def send(self, message: Message) -> None:
        """Hand the message over, once for each key. Raises SendingFailed."""
        ...


class LoggingSender:
    """Delivers nowhere: leaves a line in the log, with nothing personal in it."""

    async def send(self, message: Message) -> None:
        log.info("notification %s of type %s is sent", message.id, message.type)
