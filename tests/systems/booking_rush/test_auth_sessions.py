"""Registering, logging in, refreshing and logging out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from systems.booking_rush.auth.contract import UserCreated, UserUpdated
from systems.booking_rush.auth.tables import Account, Session
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, HOME, PASSWORD, Catalogue, open_world, problem


@pytest.fixture
async def app(databases: Databases) -> AsyncIterator[Catalogue]:
    async with open_world(databases) as opened:
        yield opened


async def register(app: Catalogue, email: str = "ann@example.com", **more: str) -> dict[str, Any]:
    return await app.made("/auth/register", {}, email=email, password=PASSWORD, name="Ann Lee", **more)


async def test_register_makes_a_customer_of_the_default_tenant(app: Catalogue) -> None:
    made = await register(app, "  Ann@Example.COM ")
    assert made["expires_in"] == 900
    user = made["user"]
    assert (user["email"], user["role"], user["tenant_id"]) == ("ann@example.com", "customer", str(HOME))
    me = await app.call("GET", "/auth/me", {"Authorization": f"Bearer {made['access_token']}"})
    assert me.json() == user
    await app.world.settle()
    (event,) = await app.world.published(UserCreated)
    assert (str(event.user_id), event.email, event.role) == (user["id"], "ann@example.com", "customer")


async def test_the_same_address_registers_once_in_a_tenant(app: Catalogue) -> None:
    await register(app)
    again = await app.call("POST", "/auth/register", email="ANN@example.com", password=PASSWORD, name="Ann")
    problem(again, 409, "USER_EXISTS")
    other = await register(app, tenant_slug="abroad")
    assert other["user"]["tenant_id"] == str(ABROAD)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"email": "nobody"}, "INVALID_EMAIL"),
        ({"password": "test123!"}, "WEAK_PASSWORD"),
        ({"password": "Te1!"}, "WEAK_PASSWORD"),
        ({"password": "Test123!" * 10}, "WEAK_PASSWORD"),
        ({"name": "A"}, "BAD_REQUEST"),
        ({"name": None}, "BAD_REQUEST"),
    ],
)
async def test_register_refuses_bad_input(app: Catalogue, changed: dict[str, Any], code: str) -> None:
    body: dict[str, Any] = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann Lee"} | changed
    problem(await app.call("POST", "/auth/register", **body), 400, code)
    async with app.world.work("auth").transaction(readonly=True) as tx:
        assert await tx.scalar(select(Account.id)) is None


async def test_register_with_an_unknown_or_inactive_tenant(app: Catalogue) -> None:
    body: dict[str, Any] = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann Lee"}
    problem(await app.call("POST", "/auth/register", **body, tenant_slug="nowhere"), 404, "TENANT_NOT_FOUND")
    boss = await app.person("super_admin")
    await app.call("PUT", f"/tenants/{ABROAD}", boss, is_active=False)
    problem(await app.call("POST", "/auth/register", **body, tenant_slug="abroad"), 404, "TENANT_NOT_FOUND")


async def test_login_answers_the_same_for_unknown_address_and_wrong_password(app: Catalogue) -> None:
    await register(app)
    unknown = await app.call("POST", "/auth/login", email="bob@example.com", password=PASSWORD)
    wrong = await app.call("POST", "/auth/login", email="ann@example.com", password="Wrong123!")
    nowhere = await app.call("POST", "/auth/login", email="ann@example.com", password=PASSWORD, tenant_slug="x")
    for answer in (unknown, wrong, nowhere):
        problem(answer, 401, "INVALID_CREDENTIALS")
    assert unknown.json() == wrong.json() == nowhere.json()
    good = await app.call("POST", "/auth/login", email=" ANN@example.com", password=PASSWORD)
    assert good.status_code == 200


async def test_an_inactive_user_or_tenant_logs_in_no_more(app: Catalogue) -> None:
    here, there = await register(app), await register(app, tenant_slug="abroad")
    boss = await app.person("super_admin")
    await app.call("PUT", f"/users/{here['user']['id']}", boss, is_active=False)
    await app.call("PUT", f"/tenants/{ABROAD}", boss, is_active=False)
    for tenant, pair in (("default", here), ("abroad", there)):
        credentials: dict[str, Any] = {"email": "ann@example.com", "password": PASSWORD, "tenant_slug": tenant}
        problem(await app.call("POST", "/auth/login", **credentials), 403, "USER_INACTIVE")
        problem(await app.call("POST", "/auth/refresh", refresh_token=pair["refresh_token"]), 403, "USER_INACTIVE")


async def test_scenario_16_refresh_rotation(app: Catalogue) -> None:
    email = f"{uuid4()}@example.com"
    await register(app, email)
    login = (await app.call("POST", "/auth/login", email=email, password=PASSWORD)).json()
    refreshed = await app.call("POST", "/auth/refresh", refresh_token=login["refresh_token"])
    assert refreshed.status_code == 200
    pair = refreshed.json()
    assert pair["refresh_token"] != login["refresh_token"]
    assert pair["access_token"] != login["access_token"]

    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    assert (await app.call("POST", "/auth/logout-all", bearer)).status_code == 200
    problem(await app.call("POST", "/auth/refresh", refresh_token=pair["refresh_token"]), 401, "INVALID_TOKEN")
    problem(await app.call("POST", "/auth/refresh", refresh_token=login["refresh_token"]), 401, "INVALID_TOKEN")


async def test_scenario_16_the_database_holds_no_token_in_clear(app: Catalogue) -> None:
    body: dict[str, Any] = {"email": f"{uuid4()}@example.com", "password": PASSWORD, "name": "Ann Lee"}
    answer = await app.http.post("/api/v1/auth/register", json=body, headers={"Idempotency-Key": "k"})
    pair = answer.json()
    await app.call("POST", "/auth/refresh", refresh_token=pair["refresh_token"])
    await app.world.settle()
    host = app.host("auth")
    async with host.engine.read() as connection:
        for table in (*host.service.metadata.sorted_tables, *host.tables.metadata.sorted_tables):
            for row in await connection.execute(select(table)):
                text = repr(tuple(row))
                for secret in (pair["refresh_token"], pair["access_token"], PASSWORD):
                    assert secret not in text, table.name


async def test_a_second_use_of_a_refresh_token_ends_the_whole_family_and_no_other(app: Catalogue) -> None:
    first = await register(app)
    other = (await app.call("POST", "/auth/login", email="ann@example.com", password=PASSWORD)).json()
    second = (await app.call("POST", "/auth/refresh", refresh_token=first["refresh_token"])).json()
    problem(await app.call("POST", "/auth/refresh", refresh_token=first["refresh_token"]), 401, "INVALID_TOKEN")
    problem(await app.call("POST", "/auth/refresh", refresh_token=second["refresh_token"]), 401, "INVALID_TOKEN")
    assert (await app.call("POST", "/auth/refresh", refresh_token=other["refresh_token"])).status_code == 200


async def test_logout_ends_one_session_and_repeats_quietly(app: Catalogue) -> None:
    pair = await register(app)
    for _ in range(2):
        assert (await app.call("POST", "/auth/logout", refresh_token=pair["refresh_token"])).status_code == 200
    problem(await app.call("POST", "/auth/refresh", refresh_token=pair["refresh_token"]), 401, "INVALID_TOKEN")


async def test_sessions_expire_and_are_swept(app: Catalogue) -> None:
    pair = await register(app)
    app.world.clock.advance(days=7)
    problem(await app.call("POST", "/auth/refresh", refresh_token=pair["refresh_token"]), 401, "TOKEN_EXPIRED")
    app.world.clock.advance(seconds=1)
    await app.world.run_job("auth", "session_sweeper")
    async with app.world.work("auth").transaction(readonly=True) as tx:
        assert await tx.scalar(select(Session.id)) is None


async def test_access_tokens_expire_after_fifteen_minutes(app: Catalogue) -> None:
    bearer = {"Authorization": f"Bearer {(await register(app))['access_token']}"}
    app.world.clock.advance(seconds=899)
    assert (await app.call("GET", "/auth/me", bearer)).status_code == 200
    app.world.clock.advance(seconds=1)
    problem(await app.call("GET", "/auth/me", bearer), 401, "TOKEN_EXPIRED")


async def test_my_profile_changes_and_tells(app: Catalogue) -> None:
    bearer = {"Authorization": f"Bearer {(await register(app))['access_token']}"}
    changed = await app.call("PUT", "/auth/me", bearer, name="Ann Smith", phone="+66 1234")
    assert (changed.json()["name"], changed.json()["phone"]) == ("Ann Smith", "+66 1234")
    await app.world.settle()
    (event,) = await app.world.published(UserUpdated)
    assert (event.name, event.changed) == ("Ann Smith", ["name", "phone"])
    for bad in ({}, {"name": "A"}, {"name": "A" * 101}, {"phone": "1" * 21}):
        answer = await app.http.put("/api/v1/auth/me", headers=bearer, json=bad)
        problem(answer, 400, "VALIDATION_ERROR")
