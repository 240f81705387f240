"""One-time codes, as they are made, sent, and made worthless by newer ones."""

from __future__ import annotations

import secrets
from math import ceil
from uuid import UUID

from sqlalchemy import update

from freehold import Passwords, Problem, Tx, User, Work, uuid7
from systems.petpro.auth.accounts import KEPT_TRIES, account_at, throttle_of
from systems.petpro.auth.bodies import CodeSent, CodeWanted
from systems.petpro.auth.contract import CodeKind
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.otp_sender import CodeMessage, OtpSender
from systems.petpro.auth.rules import next_send
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.auth.tables import Account, OneTimeCode

NEW_ADDRESS: tuple[CodeKind, ...] = ("email_change", "phone_change")
"""These go to an address that is nobody's yet, on behalf of whoever is signed in."""


class Codes:
    """Makes codes and hands them to the provider of messages."""

    def __init__(self, passwords: Passwords, sender: OtpSender, settings: AuthSettings) -> None:
        self._passwords = passwords
        self._sender = sender
        self._settings = settings

    async def send(self, wanted: CodeWanted, work: Work, caller: User | None) -> CodeSent:
        """Send a code; none to an address that nobody has, with the same answer.

        A code belongs to whoever has the address, not to whoever asks: with a stolen access token nobody gets a code
        for its owner's account sent elsewhere.

        Raises Problem 429 when the last one is too recent, and Unavailable when the provider does not answer.
        """
        digits = f"{secrets.randbelow(1_000_000):06}"
        hashed = await self._passwords.hash(digits)  # for nobody too: the time it takes must not tell
        code = OneTimeCode(
            id=uuid7(), token_hash=hashed, type=wanted.type, delivery_method=wanted.delivery_method,
            expires_at=work.now() + self._settings.otp_lifetime, created_at=work.now(),
        )  # fmt: skip
        sent = CodeSent(otp_id=code.id, expires_at=code.expires_at)
        if await work.run(lambda tx: self._keep(code, wanted.delivery_target, caller, tx)):
            message = CodeMessage(sent.otp_id, wanted.type, wanted.delivery_method, wanted.delivery_target, digits)
            await self._sender.send(message)
        return sent

    async def _keep(self, code: OneTimeCode, target: str, caller: User | None, tx: Tx) -> bool:
        """Whether there is somebody whom the code is for."""
        throttle = await throttle_of("send", target, tx)
        if (at := next_send(throttle.times, tx.now(), self._settings.otp_cooldown)) is not None:
            wait = ceil((at - tx.now()).total_seconds())
            detail = f"The next code can be sent in {wait} seconds"
            raise Problem(429, "RATE_LIMIT_EXCEEDED", detail, headers={"Retry-After": str(wait)})
        throttle.note(tx.now(), keep=KEPT_TRIES)
        if code.type in NEW_ADDRESS and caller is not None:
            account = await tx.find(Account, Account.id == caller.id, Account.is_active)
        else:
            account = await account_at(target, tx)
        if account is None:
            return False
        await spend_codes(account.id, code.type, tx)
        code.user_id = account.id
        tx.add(code)
        return True


@auth.provide
def codes(passwords: Passwords, sender: OtpSender, settings: AuthSettings) -> Codes:
    return Codes(passwords, sender, settings)


async def spend_codes(user_id: UUID, kind: CodeKind, tx: Tx) -> None:
    """A new code makes earlier ones of its type worthless, and what they were exchanged for."""
    earlier = (OneTimeCode.user_id == user_id) & (OneTimeCode.type == kind)
    await tx.execute(update(OneTimeCode).where(earlier).values(is_used=True, reset_token_hash=None))
