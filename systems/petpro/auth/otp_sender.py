"""How a one-time code leaves the house. A provider of e-mail or SMS is one more class with this method."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from uuid import UUID

from systems.petpro.auth.contract import CodeKind, DeliveryMethod


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """What is sent. Its text form shows neither the code nor to whom it goes."""

    otp_id: UUID
    kind: CodeKind
    method: DeliveryMethod
    target: str = field(repr=False)
    code: str = field(repr=False)


@runtime_checkable
class OtpSender(Protocol):
    """A provider of messages."""

    async def send(self, message: CodeMessage) -> None:
        """Hand the message over. Raises Unavailable when the provider does not take it."""
        ...


class KeepingSender:
    """Delivers nowhere: keeps the newest messages in memory, so that tests can read them back."""

    def __init__(self, room: int = 1000) -> None:
        self._kept: deque[CodeMessage] = deque(maxlen=room)

    async def send(self, message: CodeMessage) -> None:
        self._kept.append(message)

    def sent_to(self, target: str) -> list[CodeMessage]:
        """What went to this address, oldest first."""
        return [message for message in self._kept if message.target == target]
