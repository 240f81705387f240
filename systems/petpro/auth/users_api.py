"""Users, for themselves and for admins."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from sqlalchemy import Select, or_, select

from freehold import CamelListing, Tx, list_rows, owner, role
from systems.petpro.auth import facts
from systems.petpro.auth.accounts import account_of, change, deactivate
from systems.petpro.auth.bodies import StatusChange, UserChanges, UserList, UserOut, UserSearch
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.tables import Account, Profile, Role, UserRole
from systems.petpro.bodies import PageOf

admin = role("admin")
own = owner(roles=("admin",))


@auth.get("/users", access=admin)
@auth.get("/admin/users", access=admin)
async def list_users(query: Annotated[UserList, Query()], tx: Tx) -> CamelListing[UserOut]:
    """All users, newest first."""
    found = select(Account)
    if query.role is not None:
        holders = select(UserRole.user_id).join(Role, Role.id == UserRole.role_id).where(Role.name == query.role)
        found = found.where(Account.id.in_(holders))
    return await _page(found, query, tx)


@auth.get("/users/search", access=admin)
@auth.get("/admin/users/search", access=admin)
async def search_users(query: Annotated[UserSearch, Query()], tx: Tx) -> CamelListing[UserOut]:
    """Users whose name or address contains the text, newest first."""
    named = select(Profile.user_id).where(Profile.full_name.icontains(query.q, autoescape=True))
    found = select(Account).where(or_(Account.email.icontains(query.q, autoescape=True), Account.id.in_(named)))
    return await _page(found, query, tx)


async def _page(found: Select[Any], paging: PageOf, tx: Tx) -> CamelListing[UserOut]:
    page = await list_rows(tx, found, paging, order_by=Account.created_at, descending=True, show=UserOut.of)
    return CamelListing.of(page)


@auth.get("/users/{id}", access=own, errors=[404])
@auth.get("/admin/users/{id}", access=admin, errors=[404])
async def show_user(id: UUID, tx: Tx) -> UserOut:
    """A user, to themselves and to admins."""
    return UserOut.of(await account_of(id, tx))


@auth.put("/users/{id}", access=own, errors=[404, 409])
@auth.put("/admin/users/{id}", access=admin, errors=[404, 409])
async def change_user(id: UUID, body: UserChanges, tx: Tx) -> UserOut:
    """Change a user's name, address or phone number."""
    account = await account_of(id, tx)
    changes = body.model_dump(exclude_unset=True)
    await change(account, changes, tx)
    tx.audit("update", "user", id, after=changes)
    return UserOut.of(account)


@auth.put("/admin/users/{id}/status", access=admin, errors=[404])
async def set_status(id: UUID, body: StatusChange, tx: Tx) -> UserOut:
    """Switch a user off, which ends their sessions, or on again."""
    account = await account_of(id, tx)
    if not body.is_active:
        await deactivate(account, body.reason, tx)
    elif not account.is_active:
        account.is_active = True
        account.touch(tx.now())
        tx.publish(facts.user_updated(account))
        tx.audit("activate", "user", id, after={"reason": body.reason})
    return UserOut.of(account)


@auth.delete("/users/{id}", access=admin, status_code=204, errors=[404])
@auth.delete("/admin/users/{id}", access=admin, status_code=204, errors=[404])
async def delete_user(id: UUID, tx: Tx) -> None:
    """Switch a user off for good. The row stays, for whatever refers to it."""
    await deactivate(await account_of(id, tx), "deleted", tx)
