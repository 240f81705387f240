"""Registering, logging in and out, and one's own profile."""

from __future__ import annotations

from datetime import datetime
from math import ceil

from freehold import (
    Passwords,
    Problem,
    TokenIssuer,
    Tx,
    User,
    Verdict,
    Work,
    hash_refresh_token,
    judge,
    public,
    user,
    uuid7,
)
from systems.petpro.auth import facts
from systems.petpro.auth.accounts import EMAIL_TAKEN, KEPT_TRIES, account_of, change, throttle_of
from systems.petpro.auth.bodies import (
    Authenticated,
    Credentials,
    Done,
    Leaving,
    ProfileChanges,
    ProfileOut,
    Registration,
    TokenBody,
)
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.roles import role_named
from systems.petpro.auth.rules import locked_until, subject_hash
from systems.petpro.auth.sessions import authenticate, end_all, end_family
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.auth.tables import Account, Profile, Session, Throttle, UserRole

# An idempotency record keeps the answer, and no table may hold a token in clear.
NOT_STORED = "none"
REFUSED = Problem(401, "UNAUTHORIZED", "The refresh token is not valid")


@auth.post("/auth/register", access=public, status_code=201, idempotency=NOT_STORED, errors=[409])
async def register(
    body: Registration, tx: Tx, passwords: Passwords, tokens: TokenIssuer, settings: AuthSettings
) -> Authenticated:
    """Become a customer or a vendor."""
    password_hash = await passwords.hash(body.password)  # before the first statement: hashing holds no connection
    now = tx.now()
    role = await role_named(body.role, tx)
    profile = Profile(
        phone_number=body.phone_number,
        notification_prefs={"email": True, "push": True, "sms": False},
        created_at=now,
        updated_at=now,
    )
    profile.rename(*body.names)
    account = Account(
        id=uuid7(),
        email=body.email,
        password_hash=password_hash,
        is_active=True,
        version=1,
        created_at=now,
        updated_at=now,
        last_login_at=now,
        profile=profile,
        grants=[UserRole(role=role, created_at=now)],
    )
    await tx.insert(account, taken=EMAIL_TAKEN)
    tx.publish(facts.user_created(account))
    return authenticate(account, tx, tokens, settings)


@auth.post("/auth/login", access=public, idempotency=NOT_STORED, errors=[401, 429])
async def login(
    body: Credentials, work: Work, passwords: Passwords, tokens: TokenIssuer, settings: AuthSettings
) -> Authenticated:
    """Log in. An unknown address and a wrong password get the same answer, after the same time.

    After five wrong ones for an address it is locked for a quarter of an hour. What was under way by then is refused
    too, the right password included: guesses sent all at once are still five.
    """
    email = body.email.strip().lower()
    async with work.transaction(readonly=True) as tx:
        known = await tx.find(Account, Account.email == email)
        throttle = await tx.get(Throttle, subject_hash("login", email))
    _require_unlocked(throttle, work.now())
    right = await passwords.verify(known.password_hash if known else None, body.password)
    new_hash = await passwords.hash(body.password) if known and passwords.needs_rehash(known.password_hash) else None

    async def refuse(tx: Tx) -> None:
        throttle = await throttle_of("login", email, tx)
        _require_unlocked(throttle, tx.now())
        throttle.note(tx.now(), keep=KEPT_TRIES)
        raise Problem(401, "UNAUTHORIZED", "The e-mail address or the password is wrong", keep=True)

    async def open_session(tx: Tx) -> Authenticated:
        throttle = await tx.get(Throttle, subject_hash("login", email), lock=True)
        _require_unlocked(throttle, tx.now())
        if throttle is not None:
            await tx.delete(throttle)
        account = await account_of(known.id, tx) if known else None
        if account is None or not account.is_active:
            raise Problem(401, "UNAUTHORIZED", "This account is not active")
        account.password_hash = new_hash or account.password_hash
        account.last_login_at = tx.now()
        tx.audit("login", "user", account.id, actor_id=account.id)
        return authenticate(account, tx, tokens, settings)

    if not right:
        await work.run(refuse)
    return await work.run(open_session)


def _require_unlocked(throttle: Throttle | None, now: datetime) -> None:
    until = locked_until(throttle.times, now) if throttle is not None else None
    if until is not None:
        wait = ceil((until - now).total_seconds())
        raise Problem(
            429, "RATE_LIMIT_EXCEEDED", "Too many wrong passwords. Try again later", headers={"Retry-After": str(wait)}
        )


@auth.post("/auth/refresh-token", access=public, idempotency=NOT_STORED, errors=[401])
@auth.post("/auth/refresh", access=public, idempotency=NOT_STORED, errors=[401])
async def refresh(body: TokenBody, tx: Tx, tokens: TokenIssuer, settings: AuthSettings) -> Authenticated:
    """A new pair of tokens for a refresh token, which is spent by that."""
    session = await _session_of(body.refresh_token, tx)
    verdict = judge(session.state if session else None, tx.now())
    if session is None or verdict in (Verdict.UNKNOWN, Verdict.EXPIRED):
        raise REFUSED
    if verdict is Verdict.REUSED:
        # Its owner or a thief holds the newest token of the family, and nobody can tell which: end them all.
        await end_family(session.family_id, tx)
        tx.audit("refresh_token_reused", "session", session.id, actor_id=session.user_id)
        raise Problem(401, "UNAUTHORIZED", "The refresh token is not valid", keep=True)
    account = await account_of(session.user_id, tx)
    if not account.is_active:
        raise REFUSED
    session.replaced_at = tx.now()
    return authenticate(account, tx, tokens, settings, session.family_id)


@auth.post("/auth/logout", access=user, idempotency=NOT_STORED)
async def logout(tx: Tx, caller: User, body: Leaving | None = None) -> Done:
    """End the session of a refresh token, or without one every session of the caller."""
    if body is None or body.refresh_token is None:
        await end_all(caller.id, tx)
    else:
        session = await _session_of(body.refresh_token, tx)
        if session is not None and session.user_id == caller.id:
            await end_family(session.family_id, tx)
    tx.audit("logout", "user", caller.id)
    return Done(message="Logged out")


async def _session_of(token: str, tx: Tx) -> Session | None:
    return await tx.find(Session, Session.token_hash == hash_refresh_token(token), lock=True)


@auth.get("/auth/me", access=user)
@auth.get("/auth/profile", access=user)
async def show_profile(tx: Tx, caller: User) -> ProfileOut:
    """The caller's own profile."""
    return ProfileOut.of(await _own_account(tx, caller))


@auth.put("/auth/profile", access=user)
async def change_profile(body: ProfileChanges, tx: Tx, caller: User) -> ProfileOut:
    """Change what is named; null takes away a phone number, an address or a picture."""
    account = await _own_account(tx, caller)
    await change(account, body.model_dump(exclude_unset=True), tx)
    return ProfileOut.of(account)


async def _own_account(tx: Tx, caller: User) -> Account:
    """401 for a token whose user is gone: it is good for an hour, whatever happens meanwhile."""
    account = await tx.get(Account, caller.id, lock=True)
    if account is None or not account.is_active:
        raise Problem(401, "UNAUTHORIZED", "This account is not active")
    return account
