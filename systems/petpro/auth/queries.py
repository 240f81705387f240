"""What auth tells its siblings."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Page, Tx, page_of
from systems.petpro.auth import facts
from systems.petpro.auth.accounts import account_of
from systems.petpro.auth.contract import GetUser, GetUsers, SnapshotUsers, UserRow
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.tables import Account


@auth.answers(GetUser)
async def get_user(query: GetUser, tx: Tx) -> UserRow:
    return facts.user_row(await account_of(query.user_id, tx))


@auth.answers(GetUsers, writes=False)
async def get_users(query: GetUsers, tx: Tx) -> list[UserRow]:
    wanted = select(Account).where(Account.id.in_(query.user_ids)).order_by(Account.id)
    return [facts.user_row(account) for account in await tx.scalars(wanted)]


@auth.answers(SnapshotUsers)
async def snapshot_users(query: SnapshotUsers, tx: Tx) -> Page[UserRow]:
    accounts = await tx.scalars(page_of(select(Account), query, by=Account.id))
    return Page[UserRow].of([facts.user_row(account) for account in accounts], query, "user_id")
