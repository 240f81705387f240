"""Finding accounts and changing them, for every route that does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from freehold import Problem, Tx, not_found
from systems.petpro.auth import facts
from systems.petpro.auth.rules import MAX_LOGINS, MAX_SENDS, subject_hash
from systems.petpro.auth.sessions import end_all
from systems.petpro.auth.tables import Account, Profile, Throttle

EMAIL_TAKEN = Problem(409, "EMAIL_ALREADY_REGISTERED", "This e-mail address is registered already")
KEPT_TRIES = max(MAX_LOGINS, MAX_SENDS)


async def account_of(user_id: UUID, tx: Tx) -> Account:
    """Locked where the transaction writes. 404 for nobody."""
    account = await tx.get(Account, user_id, lock=True)
    if account is None:
        raise not_found("The user", "USER_NOT_FOUND")
    return account


async def account_at(address: str, tx: Tx) -> Account | None:
    """The active user with this e-mail address, or the only one with this phone number."""
    if "@" in address:
        return await tx.find(Account, Account.email == address, Account.is_active)
    owners = select(Profile.user_id).where(Profile.phone_number == address)
    found = (await tx.scalars(select(Account).where(Account.id.in_(owners), Account.is_active).limit(2))).all()
    return found[0] if len(found) == 1 else None


async def change(account: Account, changes: Mapping[str, Any], tx: Tx) -> None:
    """Write what a body gave, by column, and tell the others. 409 for an e-mail address that somebody else has."""
    profile = account.profile
    for column, value in changes.items():
        match column:
            case "first_name":
                profile.rename(value or profile.first_name, profile.last_name)
            case "last_name":
                profile.rename(profile.first_name, value or profile.last_name)
            case "notification_prefs":
                given = {channel: on for channel, on in (value or {}).items() if on is not None}
                profile.notification_prefs = profile.notification_prefs | given
            case "address":
                profile.address = json.dumps(value) if isinstance(value, dict) else value
            case "email":
                await _move(account, value, tx)
            case _:
                setattr(profile, column, value)
    profile.updated_at = tx.now()
    account.touch(tx.now())
    tx.publish(facts.user_updated(account))


async def _move(account: Account, email: str | None, tx: Tx) -> None:
    if email is None or email == account.email:
        return
    account.email = email
    await tx.flush(taken=EMAIL_TAKEN)


async def deactivate(account: Account, reason: str, tx: Tx) -> None:
    """Switch a user off and end their sessions; nothing where they are off already."""
    if not account.is_active:
        return
    account.is_active = False
    account.touch(tx.now())
    await end_all(account.id, tx)
    tx.publish(facts.user_deactivated(account, reason))
    tx.audit("deactivate", "user", account.id, after={"reason": reason})


async def throttle_of(kind: str, address: str, tx: Tx) -> Throttle:
    """What was tried lately with an address; locked, so that tries at the same time are counted one after another."""
    key = subject_hash(kind, address)
    await tx.insert_new(Throttle, [{"subject_hash": key, "tries": [], "updated_at": tx.now()}], key=["subject_hash"])
    throttle = await tx.get(Throttle, key, lock=True)
    assert throttle is not None  # noqa: S101 - inserted above, unless it was there
    return throttle
