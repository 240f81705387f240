"""SQL that stands as text in a service's files."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, Table

from freehold import Service, System
from freehold.inspect.source import Module
from freehold.inspect.sql_text import sql_texts
from freehold.observe.sql_tables import DIALECTS, Foreign, Named, TableOwners, tables_of
from tests.unit.inspect.test_ownership import base

EVERY = tuple(DIALECTS.values())


def texts(source: str) -> list[str]:
    return [found.text for found in sql_texts(Module("nowhere", Path("nowhere.py"), ast.parse(source)))]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('text("SELECT 1 FROM users")', "SELECT 1 FROM users"),
        ('sa.text("SELECT 1 " "FROM users")', "SELECT 1 FROM users"),
        ('connection.exec_driver_sql("DELETE FROM users")', "DELETE FROM users"),
        ('await driver.fetchrow(f"SELECT * FROM users WHERE id = {id}")', "SELECT * FROM users WHERE id = hole_"),
        ('text("SELECT * FROM users WHERE " + condition)', "SELECT * FROM users WHERE hole_"),
        ('cursor.execute("SELECT * FROM users WHERE id = %s" % id)', "SELECT * FROM users WHERE id = %s"),
        ('text("""\n SELECT * FROM users\n""".strip())', "\n SELECT * FROM users\n"),
        ('table("users", column("id"))', "TABLE users"),
    ],
)
def test_text_is_found_where_it_is_run(source: str, text: str) -> None:
    assert texts(source) == [text]


def test_other_text_is_none() -> None:
    assert texts('log.info("SELECT 1 FROM users"); print("users"); text(statement); execute()') == []


def test_a_constant_of_the_module_is_followed() -> None:
    module = Module(__name__, Path(__file__), ast.parse("text(STATEMENT)"))
    assert [found.text for found in sql_texts(module)] == [STATEMENT]


STATEMENT = "SELECT 1 FROM users"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("SELECT * FROM orders o JOIN auth.users u ON u.id = o.user_id", [("", "orders"), ("auth", "users")]),
        ("INSERT INTO orders SELECT * FROM Users", [("", "orders"), ("", "users")]),
        ("UPDATE orders SET a = 1 FROM users WHERE users.id = orders.id", [("", "orders"), ("", "users")]),
        ("SELECT * FROM `users` WHERE id = %s", [("", "users")]),
        ("EXISTS (SELECT 1 FROM users WHERE id = :id)", [("", "users")]),
        ("is_active AND deleted_at IS NULL", []),
        ("WITH users AS (SELECT 1 AS id) SELECT * FROM users", []),
        ("LOCK TABLE auth.users IN SHARE MODE", [("auth", "users")]),
        ("REPLACE INTO `users` VALUES (1)", [("", "users")]),
        ("TRUNCATE users", [("", "users")]),
        ("CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()", [("", "users")]),
        ("SELECT 'from users'", []),
    ],
)
def test_tables_are_found_by_parsing(statement: str, named: list[tuple[str, str]]) -> None:
    assert set(tables_of(statement, EVERY)) == {Named(*each) for each in named}


def test_a_table_is_its_own_services_unless_a_schema_says_otherwise() -> None:
    first, second = base(), base()
    for owner, name in ((first, "users"), (first, "sessions"), (second, "users"), (second, "orders")):
        Table(name, owner.metadata, Column("id", Integer))
    owners = TableOwners(System("shop", [Service("auth", tables=first), Service("sales", tables=second)]))

    def foreign(statement: str) -> list[Foreign]:
        return owners.foreign("sales", statement, EVERY)

    assert foreign("SELECT * FROM users JOIN orders ON true JOIN outbox_events ON true") == []
    assert foreign("SELECT * FROM sales.users, sales_db.orders, shop_sales_db.orders") == []
    assert foreign("SELECT * FROM sessions, sessions s") == [Foreign("auth", "sessions")]
    for schema in ("auth", "auth_db", "shop_auth_db"):
        assert foreign(f"SELECT * FROM {schema}.users") == [Foreign("auth", "users")]
    assert foreign("SELECT * FROM auth.outbox_events") == [Foreign("auth", "outbox_events")]
    assert foreign("SELECT sessions FROM orders") == []
    assert foreign("SELECT * FROM elsewhere.sessions, pg_tables") == []


def test_a_statement_without_a_name_of_others_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = base(), base()
    Table("users", first.metadata, Column("id", Integer))
    Table("orders", second.metadata, Column("id", Integer))
    owners = TableOwners(System("shop", [Service("auth", tables=first), Service("sales", tables=second)]))
    monkeypatch.setitem(sys.modules, "sqlglot", None)  # importing it fails from here on

    assert owners.foreign("sales", "SELECT o.id FROM orders o JOIN outbox_events ON true", EVERY) == []
    with pytest.raises(ImportError):
        owners.foreign("sales", "SELECT users FROM orders", EVERY)
