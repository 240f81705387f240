"""One owner for each table, one database for each service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.sql_text import sql_texts
from freehold.inspect.survey import Survey
from freehold.model.service import FRAMEWORK_TABLES, Service
from freehold.observe.sql_tables import DIALECTS


def table_owned_twice(survey: Survey) -> Iterator[Finding]:
    owners: dict[int, Service] = {}
    for service, table in survey.tables():
        first = owners.setdefault(id(table), service)
        if first is service:
            continue
        mapped = survey.mapped(service, table)
        yield Finding(
            f"{first.name}.{table.name}",
            f"is owned by {service.name} as well: both services have the same declarative base",
            "Give each service a base of its own, and let the other keep a view or ask",
            survey.source.of(mapped) if mapped else survey.place_of_service(service),
        )


def database_of_two(survey: Survey) -> Iterator[Finding]:
    owners: dict[str, Service] = {}
    for service in survey.services:
        first = owners.setdefault(service.database, service)
        if first is not service:
            yield Finding(
                f"service {service.name}",
                f"has the database {service.database}, which is {first.name}'s",
                "Give each service a database of its own, or leave database= out",
                survey.place_of_service(service),
            )


def toolkit_table_declared(survey: Survey) -> Iterator[Finding]:
    for service, table in survey.tables():
        taken = {service.table_names.get(name, name): name for name in FRAMEWORK_TABLES}
        if table.name in taken:
            mapped = survey.mapped(service, table)
            yield Finding(
                f"{service.name}.{table.name}",
                "has the name of one of the toolkit's own tables",
                f"Rename it, or the toolkit's by table_names={{{taken[table.name]!r}: …}}",
                survey.source.of(mapped) if mapped else None,
            )


def foreign_table_in_sql(survey: Survey) -> Iterator[Finding]:
    dialects = tuple(DIALECTS.values())
    files = {service.name: list(survey.source.modules(service)) for service in survey.services}
    shared = Counter(module.path for modules in files.values() for module in modules)
    for service in survey.services:
        for module in files[service.name]:
            if shared[module.path] > 1:
                continue  # nobody can tell whose statement it is
            for sql in sql_texts(module):
                for owner, table in survey.owners.foreign(service.name, sql.text, dialects):
                    yield Finding(
                        module.name,
                        f"has SQL that names {table}, a table of {owner}",
                        f"Ask {owner}, or keep a view of its rows in {service.name}",
                        module.place(sql.node),
                    )


RULES = (
    Rule("FH001", "table-owned-twice", "error", "A table belongs to one service.", table_owned_twice),
    Rule("FH002", "database-of-two", "error", "A database belongs to one service.", database_of_two),
    Rule(
        "FH003",
        "toolkit-table-declared",
        "error",
        "A service's tables leave the toolkit's names free.",
        toolkit_table_declared,
    ),
    Rule(
        "FH004",
        "foreign-table-in-sql",
        "error",
        "SQL text names tables of its own service only.",
        foreign_table_in_sql,
    ),
)
