"""Users and tenants for those who administer them, and what auth tells its siblings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from freehold import Context, Problem
from freehold.identity import ServiceTokens
from freehold.model.messages import Query
from freehold.runtime.calls import Answering
from systems.booking_rush.auth.contract import (
    GetStripeCustomer,
    GetUser,
    SetStripeCustomer,
    SnapshotTenants,
    SnapshotUsers,
    TenantCreated,
    TenantUpdated,
    UserDeleted,
    UserUpdated,
)
from systems.booking_rush.auth.tables import Account, Session
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, HOME, PASSWORD, Catalogue, open_world, problem


@pytest.fixture
async def app(databases: Databases) -> AsyncIterator[Catalogue]:
    async with open_world(databases) as opened:
        yield opened


async def ask(app: Catalogue, query: Query[Any], **context: Any) -> Any:
    """What auth answers a sibling."""
    return await Answering(app.world.process.units["auth"].host).answer(query, Context(**context))


async def test_an_admin_sees_the_own_tenant_and_a_super_admin_any(app: Catalogue) -> None:
    here, there = await app.person(name="here"), await app.person(tenant=ABROAD, name="there")
    admin, boss = await app.person("admin"), await app.person("super_admin")
    page = (await app.call("GET", "/users", admin)).json()
    assert {user["tenant_id"] for user in page["data"]} == {str(HOME)}
    assert page["meta"]["total"] == len(page["data"]) == 3, "the count leaks nothing either"
    assert (await app.call("GET", "/users", boss)).json()["meta"]["total"] == 4
    abroad = {**boss.headers, "X-Tenant-ID": str(ABROAD)}
    assert [user["id"] for user in (await app.call("GET", "/users", abroad)).json()["data"]] == [str(there.id)]
    found = (await app.call("GET", "/users?search=HERE@&role=customer&is_active=true", admin)).json()["data"]
    assert [user["id"] for user in found] == [str(here.id)]
    assert (await app.call("GET", "/users?search=%25", admin)).json()["data"] == []
    problem(await app.call("GET", "/users?limit=101", admin), 400, "VALIDATION_ERROR")
    for path, status in ((here.id, 200), (there.id, 404), (uuid4(), 404)):
        assert (await app.call("GET", f"/users/{path}", admin)).status_code == status


async def test_others_see_and_change_no_users(app: Catalogue) -> None:
    ann, bob = await app.person(), await app.person("organizer")
    assert (await app.call("GET", f"/users/{ann.id}", ann)).json()["is_active"] is True
    problem(await app.call("GET", f"/users/{ann.id}", bob), 403, "FORBIDDEN")
    for who in (ann, bob):
        problem(await app.call("GET", "/users", who), 403, "FORBIDDEN")
        problem(await app.call("PUT", f"/users/{ann.id}", who, role="admin"), 403, "FORBIDDEN")
        problem(await app.call("DELETE", f"/users/{ann.id}", who), 403, "FORBIDDEN")
        problem(await app.call("POST", "/tenants", who, name="Mine", slug="mine"), 403, "FORBIDDEN")


async def test_only_a_super_admin_makes_admins(app: Catalogue) -> None:
    ann, admin, boss = await app.person(), await app.person("admin"), await app.person("super_admin")
    changed = await app.call("PUT", f"/users/{ann.id}", admin, role="organizer", name="Ann Organizer")
    assert (changed.json()["role"], changed.json()["name"]) == ("organizer", "Ann Organizer")
    problem(await app.call("PUT", f"/users/{ann.id}", admin, role="admin"), 403, "FORBIDDEN")
    problem(await app.call("PUT", f"/users/{boss.id}", admin, is_active=False), 403, "FORBIDDEN")
    problem(await app.http.put(f"/api/v1/users/{ann.id}", headers=admin.headers, json={}), 400, "VALIDATION_ERROR")
    assert (await app.call("PUT", f"/users/{ann.id}", boss, role="admin")).json()["role"] == "admin"
    await app.world.settle()
    assert [e.changed for e in await app.world.published(UserUpdated)] == [["name", "role"], ["role"]]
    host = app.world.process.units["auth"].host
    async with host.engine.read() as connection:
        rows = (await connection.execute(select(host.tables.audit).order_by(host.tables.audit.c.id))).all()
    last = rows[-1]
    assert (last.action, last.resource, last.resource_id) == ("update", "user", str(ann.id))
    assert (last.actor_id, last.before, last.after) == (boss.id, {"role": "organizer"}, {"role": "admin"})
    assert last.request_id


async def test_a_deleted_user_is_out_at_once_and_the_address_is_free(app: Catalogue) -> None:
    body: dict[str, Any] = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann Lee"}
    pair = (await app.call("POST", "/auth/register", **body)).json()
    admin = await app.person("admin")
    assert (await app.call("DELETE", f"/users/{pair['user']['id']}", admin)).status_code == 200
    problem(await app.call("DELETE", f"/users/{pair['user']['id']}", admin), 404, "NOT_FOUND")
    problem(await app.call("POST", "/auth/refresh", refresh_token=pair["refresh_token"]), 401, "INVALID_TOKEN")
    login = await app.call("POST", "/auth/login", email="ann@example.com", password=PASSWORD)
    problem(login, 401, "INVALID_CREDENTIALS")
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    problem(await app.call("GET", "/auth/me", bearer), 404, "NOT_FOUND")
    async with app.world.work("auth").transaction(readonly=True) as tx:
        assert await tx.scalar(select(Session.id)) is None
        assert await tx.get(Account, UUID(pair["user"]["id"])) is not None, "the row stays"
    assert (await app.call("POST", "/auth/register", **body)).status_code == 201
    await app.world.settle()
    (told,) = await app.world.published(UserDeleted)
    assert str(told.user_id) == pair["user"]["id"]


async def test_tenants(app: Catalogue) -> None:
    admin, boss = await app.person("admin"), await app.person("super_admin")
    made = await app.made("/tenants", admin, name="New", slug="new-one", settings={"colour": "red"})
    problem(await app.call("POST", "/tenants", boss, name="Other", slug="new-one"), 409, "TENANT_EXISTS")
    problem(await app.call("POST", "/tenants", boss, name="Other", slug="Not A Slug"), 400, "INVALID_SLUG")
    problem(await app.call("POST", "/tenants", boss, name="O", slug="fine"), 400, "BAD_REQUEST")
    seen = (await app.call("GET", "/tenants", boss)).json()
    assert ([t["slug"] for t in seen["data"]], seen["meta"]["total"]) == (["default", "abroad", "new-one"], 3)
    assert [t["slug"] for t in (await app.call("GET", "/tenants", admin)).json()["data"]] == ["default"]
    for path in (f"/tenants/{made['id']}", "/tenants/slug/new-one"):
        assert (await app.call("GET", path, boss)).json()["settings"] == {"colour": "red"}
        problem(await app.call("GET", path, admin), 404, "NOT_FOUND")
    problem(await app.call("PUT", f"/tenants/{ABROAD}", admin, name="Stolen"), 404, "NOT_FOUND")
    assert (await app.call("PUT", f"/tenants/{HOME}", admin, name="Home")).json()["name"] == "Home"
    empty = await app.http.put(f"/api/v1/tenants/{HOME}", headers=admin.headers, json={})
    problem(empty, 400, "INVALID_UPDATE")
    problem(await app.call("DELETE", f"/tenants/{made['id']}", admin), 403, "FORBIDDEN")
    assert (await app.call("DELETE", f"/tenants/{made['id']}", boss)).status_code == 200
    problem(await app.call("GET", f"/tenants/{made['id']}", boss), 404, "NOT_FOUND")
    await app.world.settle()
    assert [e.slug for e in await app.world.published(TenantCreated)] == ["new-one"]
    told = (await app.world.published(TenantUpdated))[-1]
    assert (told.slug, told.is_active, told.deleted_at is not None) == ("new-one", False, True)


async def test_what_siblings_may_ask(app: Catalogue) -> None:
    ann = await app.person(name="ann")
    info = await ask(app, GetUser(user_id=ann.id))
    assert (info.email, info.role, info.tenant_id) == ("ann@example.com", "customer", HOME)
    for query in (GetUser(user_id=uuid4()), GetStripeCustomer(id=uuid4())):
        with pytest.raises(Problem, match="404"):
            await ask(app, query)
    assert (await ask(app, GetStripeCustomer(id=ann.id))).stripe_customer_id is None
    for _ in range(2):
        await ask(app, SetStripeCustomer(id=ann.id, stripe_customer_id="cus_1"))
    assert (await ask(app, GetStripeCustomer(id=ann.id))).stripe_customer_id == "cus_1"
    await app.world.settle()
    (told,) = await app.world.published(UserUpdated)
    assert (told.changed, told.stripe_customer_id) == (["stripe_customer_id"], "cus_1")


async def test_snapshots_go_through_everybody_page_by_page(app: Catalogue) -> None:
    people = {(await app.person()).id for _ in range(5)}
    boss = await app.person("super_admin")
    gone = people.pop()
    await app.call("DELETE", f"/users/{gone}", boss)
    seen: dict[UUID, bool] = {}
    cursor = None
    while True:
        page = await ask(app, SnapshotUsers(cursor=cursor, limit=2))
        seen |= {row.user_id: row.deleted for row in page.data}
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == dict.fromkeys(people, False) | {gone: True, boss.id: False}
    tenants = await ask(app, SnapshotTenants())
    assert [row.slug for row in tenants.data] == ["default", "abroad"]
    with pytest.raises(Problem, match="400"):
        await ask(app, SnapshotUsers(cursor="nonsense"))


async def test_internal_routes_take_service_tokens_only(app: Catalogue) -> None:
    ann = await app.person()
    async with app.world.service("auth") as client:
        for method, path in (
            ("POST", "/api/v1/auth/validate"),
            ("GET", f"/api/v1/auth/users/{ann.id}/stripe-customer"),
            ("GET", f"/internal/users/{ann.id}"),
        ):
            answer = await client.request(method, path, headers=ann.headers)
            problem(answer, 401, "MISSING_SERVICE_TOKEN")
            assert (await app.http.request(method, path, headers=ann.headers)).status_code == 404
        tokens = app.world.process.units["ticket"].host.provided.use(ServiceTokens)
        service = {"X-Service-Token": tokens.issue("auth")}
        valid = await client.post("/api/v1/auth/validate", headers={**ann.headers, **service})
        assert valid.json() == {
            "user_id": str(ann.id), "email": ann.email, "role": "customer", "tenant_id": str(HOME),
        }  # fmt: skip
        bad = await client.post("/api/v1/auth/validate", headers={"Authorization": "Bearer x", **service})
        problem(bad, 401, "INVALID_TOKEN")
        problem(await client.post("/api/v1/auth/validate", headers=service), 401, "MISSING_TOKEN")
        await app.call("DELETE", f"/users/{ann.id}", await app.person("admin"))
        gone = await client.post("/api/v1/auth/validate", headers={**ann.headers, **service})
        problem(gone, 401, "INVALID_TOKEN")
