"""Users, for those who administer them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import or_, select

from freehold import Listing, Tx, User, list_rows, not_found, owner, role
from systems.booking_rush.auth import facts
from systems.booking_rush.auth.bodies import Done, UserChanges, UserDetails, UserList
from systems.booking_rush.auth.declaration import auth
from systems.booking_rush.auth.rules import ADMINS, released_email, require_may_grant, require_may_manage
from systems.booking_rush.auth.sessions import end_all
from systems.booking_rush.auth.tables import Account

admin = role(*ADMINS)


@auth.get("/users", access=admin)
async def list_users(query: Annotated[UserList, Query()], tx: Tx) -> Listing[UserDetails]:
    """The tenant's users, newest first."""
    found = select(Account).where(Account.deleted_at.is_(None))
    if query.role is not None:
        found = found.where(Account.role == query.role)
    if query.is_active is not None:
        found = found.where(Account.is_active == query.is_active)
    if query.search:
        matches = (column.icontains(query.search, autoescape=True) for column in (Account.email, Account.name))
        found = found.where(or_(*matches))
    return await list_rows(
        tx, found, query, order_by=Account.created_at, descending=True, show=UserDetails.model_validate
    )


@auth.get("/users/{id}", access=owner(roles=ADMINS), errors=[404])
async def show_user(id: UUID, tx: Tx) -> UserDetails:
    """A user, to themselves and to admins."""
    return UserDetails.model_validate(await _user(id, tx))


@auth.put("/users/{id}", access=admin, errors=[404])
async def change_user(id: UUID, body: UserChanges, tx: Tx, caller: User) -> UserDetails:
    """Change a user's role or name, or switch them on or off."""
    account = await _user(id, tx)
    require_may_manage(caller, account.role)
    if body.role is not None:
        require_may_grant(caller, body.role)
    changes = body.given()
    before = {column: getattr(account, column) for column in changes}
    for column, value in changes.items():
        setattr(account, column, value)
    account.updated_at = tx.now()
    tx.publish(facts.user_updated(account, changes))
    tx.audit("update", "user", id, before=before, after=changes)
    return UserDetails.model_validate(account)


@auth.delete("/users/{id}", access=admin, errors=[404])
async def delete_user(id: UUID, tx: Tx, caller: User) -> Done:
    """Delete a user and end their sessions. The row stays; the e-mail address is free again."""
    account = await _user(id, tx)
    require_may_manage(caller, account.role)
    tx.audit("delete", "user", id, before={"email": account.email, "role": account.role})
    account.deleted_at = account.updated_at = tx.now()
    account.is_active = False
    account.email = released_email(account.email, account.id)
    await end_all(account.id, tx)
    tx.publish(facts.user_deleted(account, tx.now()))
    return Done(message="The user is deleted")


async def _user(id: UUID, tx: Tx) -> Account:
    """A user of the caller's tenant; whose rows are visible is decided by the toolkit."""
    account = await tx.get(Account, id, lock=True)
    if account is None or account.deleted_at is not None:
        raise not_found("The user")
    return account
