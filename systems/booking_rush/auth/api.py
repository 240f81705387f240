"""Registering, logging in and out, and one's own profile."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from freehold import (
    InvalidToken,
    Passwords,
    Problem,
    TokenIssuer,
    TokenVerifier,
    Tx,
    User,
    Verdict,
    Work,
    hash_refresh_token,
    internal,
    judge,
    not_found,
    public,
    user,
)
from systems.booking_rush.auth import facts
from systems.booking_rush.auth.bodies import (
    Authenticated,
    Credentials,
    Done,
    Profile,
    ProfileChanges,
    Registration,
    TokenBody,
    TokenOwner,
)
from systems.booking_rush.auth.declaration import auth
from systems.booking_rush.auth.sessions import authenticate, end_all, end_family, require_may_log_in
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Account, Session, Tenant

# An idempotency record keeps the answer, and no table may hold a token in clear.
NOT_STORED = "none"


@auth.post(
    "/auth/register", access=public, status_code=201, idempotency=NOT_STORED, invalid="BAD_REQUEST", errors=[404, 409]
)
async def register(
    body: Registration, tx: Tx, passwords: Passwords, tokens: TokenIssuer, settings: AuthSettings
) -> Authenticated:
    """Become a customer of a tenant, the default one if none is named."""
    password_hash = await passwords.hash(body.password)  # before the first statement: hashing holds no connection
    slug = body.tenant_slug or settings.default_tenant
    tenant = await tx.find(Tenant, Tenant.slug == slug, Tenant.is_active, Tenant.deleted_at.is_(None))
    if tenant is None:
        raise not_found("The tenant", "TENANT_NOT_FOUND")
    now = tx.now()
    account = Account(
        tenant_id=tenant.id,
        email=body.email,
        password_hash=password_hash,
        name=body.name,
        phone=body.phone,
        role="customer",
        created_at=now,
        updated_at=now,
    )
    await tx.insert(account, taken=Problem(409, "USER_EXISTS", "This e-mail address is registered already"))
    tx.publish(facts.user_created(account))
    return authenticate(account, tx, tokens, settings)


@auth.post("/auth/login", access=public, idempotency=NOT_STORED, invalid="BAD_REQUEST", errors=[401, 403])
async def login(
    body: Credentials, work: Work, passwords: Passwords, tokens: TokenIssuer, settings: AuthSettings
) -> Authenticated:
    """Log in. An unknown e-mail address and a wrong password get the same answer, after the same time."""
    wrong = Problem(401, "INVALID_CREDENTIALS", "The e-mail address or the password is wrong")
    async with work.transaction(readonly=True) as tx:
        known = await _find_account(body, settings, tx)
    if not await passwords.verify(known.password_hash if known else None, body.password) or known is None:
        raise wrong
    new_hash = await passwords.hash(body.password) if passwords.needs_rehash(known.password_hash) else None

    async def open_session(tx: Tx) -> Authenticated:
        account = await tx.get(Account, known.id, lock=True)
        if account is None or account.deleted_at is not None:
            raise wrong
        await require_may_log_in(account, tx)
        if new_hash is not None:
            account.password_hash = new_hash
        tx.audit("login", "user", account.id, actor_id=account.id, tenant_id=account.tenant_id)
        return authenticate(account, tx, tokens, settings)

    return await work.run(open_session)


async def _find_account(body: Credentials, settings: AuthSettings, tx: Tx) -> Account | None:
    tenant = await tx.find(Tenant, Tenant.slug == (body.tenant_slug or settings.default_tenant))
    if tenant is None:
        return None
    email = body.email.strip().lower()
    return await tx.find(Account, Account.tenant_id == tenant.id, Account.email == email, Account.deleted_at.is_(None))


@auth.post("/auth/refresh", access=public, idempotency=NOT_STORED, invalid="BAD_REQUEST", errors=[401, 403])
async def refresh(body: TokenBody, tx: Tx, tokens: TokenIssuer, settings: AuthSettings) -> Authenticated:
    """A new pair of tokens for a refresh token, which is spent by that."""
    session = await _session_of(body.refresh_token, tx)
    verdict = judge(session.state if session else None, tx.now())
    if session is None or verdict is Verdict.UNKNOWN:
        raise Problem(401, "INVALID_TOKEN", "The refresh token is not valid")
    if verdict is Verdict.REUSED:
        # Its owner or a thief holds the newest token of the family, and nobody can tell which: end them all.
        await end_family(session.family_id, tx)
        tx.audit("refresh_token_reused", "session", session.id, actor_id=session.user_id)
        raise Problem(401, "INVALID_TOKEN", "The refresh token is not valid", keep=True)
    if verdict is Verdict.EXPIRED:
        raise Problem(401, "TOKEN_EXPIRED", "The session has expired")
    account = await tx.get(Account, session.user_id)
    if account is None or account.deleted_at is not None:
        raise Problem(401, "INVALID_TOKEN", "The refresh token is not valid")
    await require_may_log_in(account, tx)
    session.replaced_at = tx.now()
    return authenticate(account, tx, tokens, settings, session.family_id)


@auth.post("/auth/logout", access=public, idempotency=NOT_STORED, invalid="BAD_REQUEST")
async def logout(body: TokenBody, tx: Tx) -> Done:
    """End the session, if it still is one."""
    session = await _session_of(body.refresh_token, tx)
    if session is not None:
        await end_family(session.family_id, tx)
        tx.audit("logout", "user", session.user_id, actor_id=session.user_id)
    return Done(message="Logged out")


async def _session_of(token: str, tx: Tx) -> Session | None:
    return await tx.find(Session, Session.refresh_token_hash == hash_refresh_token(token), lock=True)


@auth.post("/auth/logout-all", access=user, idempotency=NOT_STORED)
async def logout_all(tx: Tx, caller: User) -> Done:
    """End every session of the caller, on every device."""
    await end_all(caller.id, tx)
    tx.audit("logout_all", "user", caller.id)
    return Done(message="Logged out everywhere")


@auth.get("/auth/me", access=user, errors=[404])
async def show_me(tx: Tx, caller: User) -> Profile:
    """The caller's own profile."""
    return Profile.model_validate(await _own_account(tx, caller))


@auth.put("/auth/me", access=user, errors=[404])
async def change_me(body: ProfileChanges, tx: Tx, caller: User) -> Profile:
    """Change one's own name or phone number."""
    account = await _own_account(tx, caller)
    changes = body.given()
    for column, value in changes.items():
        setattr(account, column, value)
    account.updated_at = tx.now()
    tx.publish(facts.user_updated(account, changes))
    return Profile.model_validate(account)


async def _own_account(tx: Tx, caller: User) -> Account:
    account = await tx.get(Account, caller.id, lock=True)
    if account is None or account.deleted_at is not None:
        raise not_found("The user")
    return account


@auth.post("/auth/validate", access=internal, writes=False, idempotency="none", errors=[401])
async def validate(
    tx: Tx, verifier: TokenVerifier, authorization: Annotated[str | None, Header()] = None
) -> TokenOwner:
    """Whom an access token speaks for, provided that they are still there."""
    invalid = Problem(401, "INVALID_TOKEN", "The access token is not valid")
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise Problem(401, "MISSING_TOKEN", "Send the access token as Authorization: Bearer")
    try:
        speaker = await verifier.verify_with_refresh(token)
    except InvalidToken:
        raise invalid from None
    account = await tx.get(Account, speaker.id)
    if account is None or not account.is_active or account.deleted_at is not None:
        raise invalid
    return TokenOwner(user_id=account.id, email=account.email, role=account.role, tenant_id=account.tenant_id)
