"""The payment gateway: what booking and vendor need of whoever moves the money, and one that moves none."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, SecretStr

from freehold import BodySignature, DataFolder

Kind = Literal["session", "refund", "transfer"]

BOOKINGS, ORDERS = "bk_", "ord_"
"""How references to payments of bookings and of orders begin."""


class GatewayDown(Exception):
    """The gateway did not answer; it may be asked again with the same key."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where a customer pays; the gateway's webhook will name `reference`."""

    reference: str
    url: str


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back to the customer."""

    id: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money on its way to an account."""

    id: str
    amount: Decimal


@runtime_checkable
class PaymentGateway(Protocol):
    """A provider of payments. What is asked again with the same key happens once, and gets the first answer."""

    async def open_session(self, key: str, amount: Decimal, currency: str, reference: str) -> Session:
        """Let a customer pay. Raises GatewayDown."""
        ...

    async def refund(self, key: str, reference: str, amount: Decimal) -> Refund:
        """Give money back of what was paid under the reference. Raises GatewayDown."""
        ...

    async def transfer(self, key: str, account: str, amount: Decimal) -> Transfer:
        """Pay money out to an account. Raises GatewayDown."""
        ...

    def sign(self, body: bytes) -> str:
        """The signature of a webhook's raw body."""
        ...

    def verify(self, body: bytes, signature: str | None) -> None:
        """Accept a webhook of this body; its signature is given apart, or in the body.

        Raises InvalidSignature when it is not the gateway's.
        """
        ...


class GatewaySettings(BaseModel):
    """What operators say about the gateway, alike to booking and to vendor."""

    gateway_secret: SecretStr = SecretStr("")
    """What the gateway signs its webhooks with. Empty: what the fake gateway made for itself in the data folder, which
    serves where booking and vendor share one."""


_SCHEMA = """
CREATE TABLE IF NOT EXISTS done (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, target TEXT NOT NULL, amount TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (kind TEXT NOT NULL, target TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failing (kind TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS secret (word TEXT NOT NULL);
"""


class FakeGateway:
    """Moves no money, and does what tests tell it; its books survive the services, as a real one's do.

    Several on one file are one gateway, in whichever processes they are.

    Args:
        secret: that it signs its webhooks with; empty: one of its own, kept in its books.
        file: where it keeps its books; None: in memory.
    """

    def __init__(self, secret: str = "", file: Path | None = None) -> None:
        self._lock = Lock()
        self._books = sqlite3.connect(file or ":memory:", check_same_thread=False, isolation_level=None)
        self._books.executescript(_SCHEMA)
        self._signature = BodySignature(secret or self._own_secret())

    async def aclose(self) -> None:
        """Close its books."""
        self._books.close()

    def _own_secret(self) -> str:
        made = secrets.token_hex(32)
        self._books.execute("INSERT INTO secret SELECT ? WHERE NOT EXISTS (SELECT 1 FROM secret)", (made,))
        return str(self._books.execute("SELECT word FROM secret").fetchone()[0])

    # --- the port -----------------------------------------------------------------------------------------------------

    async def open_session(self, key: str, amount: Decimal, currency: str, reference: str) -> Session:
        self._do("session", key, reference, amount)
        return Session(reference, f"https://pay.example/{_number(key)}")

    async def refund(self, key: str, reference: str, amount: Decimal) -> Refund:
        return Refund(f"re_{_number(key)}", self._do("refund", key, reference, amount))

    async def transfer(self, key: str, account: str, amount: Decimal) -> Transfer:
        return Transfer(f"tr_{_number(key)}", self._do("transfer", key, account, amount))

    def sign(self, body: bytes) -> str:
        return self._signature.sign(body)

    def verify(self, body: bytes, signature: str | None) -> None:
        if signature is None:
            body, signature = _signed_inside(body)
        self._signature.verify(signature, body)

    def _do(self, kind: Kind, key: str, target: str, amount: Decimal) -> Decimal:
        """The amount that was moved under the key, now or before."""
        with self._lock:
            self._books.execute("INSERT INTO calls VALUES (?, ?)", (kind, target))
            failed = "UPDATE failing SET times = times - 1 WHERE kind = ? AND times > 0"
            if self._books.execute(failed, (kind,)).rowcount:
                raise GatewayDown(f"the fake gateway was told to fail this {kind}")
            self._books.execute("INSERT OR IGNORE INTO done VALUES (?, ?, ?, ?)", (key, kind, target, str(amount)))
            row = self._books.execute("SELECT amount FROM done WHERE key = ?", (key,)).fetchone()
        return Decimal(row[0])

    # --- for tests ----------------------------------------------------------------------------------------------------

    def fail(self, kind: Kind, times: int = 1) -> None:
        """Do not answer the next so many calls of this kind."""
        self._books.execute("INSERT OR REPLACE INTO failing VALUES (?, ?)", (kind, times))

    def forget(self) -> None:
        """Begin anew, with empty books."""
        self._books.executescript("DELETE FROM done; DELETE FROM calls; DELETE FROM failing")

    def calls(self, kind: Kind, target: str | None = None) -> int:
        """How often it was asked, in vain or not; for one reference or account, where `target` names it."""
        rows = self._books.execute("SELECT target FROM calls WHERE kind = ?", (kind,))
        return sum(target in (None, asked) for (asked,) in rows)

    def done(self, kind: Kind, target: str | None = None) -> list[Decimal]:
        """The amounts of what was carried out, each key once; for one reference or account, where `target` names it."""
        rows = self._books.execute("SELECT target, amount FROM done WHERE kind = ? ORDER BY rowid", (kind,))
        return [Decimal(amount) for reference, amount in rows if target in (None, reference)]

    def webhook(self, reference: str, amount: Decimal, status: str = "completed", **more: Any) -> tuple[bytes, str]:
        """What it would send about a payment: the raw body and its signature."""
        said = {"external_reference": reference, "status": status, "amount": f"{amount:.2f}", **more}
        body = json.dumps(said).encode()
        return body, self.sign(body)


def _number(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _signed_inside(body: bytes) -> tuple[bytes, str | None]:
    """Of a body with its signature in it: what was signed, which has an empty text in that place, and the signature."""
    try:
        said = json.loads(body)
    except ValueError:
        return body, None
    signature = said.get("signature") if isinstance(said, dict) else None
    if not isinstance(signature, str) or not signature.isalnum():
        return body, None
    return body.replace(f'"{signature}"'.encode(), b'""', 1), signature


def open_gateway(settings: GatewaySettings, folder: DataFolder) -> FakeGateway:
    """The gateway of a process."""
    return FakeGateway(settings.gateway_secret.get_secret_value(), folder.path / "payment_gateway.sqlite")
