"""Which tables a statement names, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from freehold.model.service import FRAMEWORK_TABLES, Service
from freehold.model.system import System

if TYPE_CHECKING:
    from sqlglot import exp

DIALECTS: Final = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}
"""What sqlglot calls our engines."""
_WORD: Final = re.compile(r"\w+")
_PARSED: Final = re.compile(r"\s*\(*\s*(?:select|with|insert|update|delete|merge|values|exists)\b", re.IGNORECASE)
_STATEMENT: Final = re.compile(r"\s*[a-z]+\s+[a-z_`\"\[]", re.IGNORECASE)
_BEFORE_A_TABLE: Final = frozenset({"FROM", "INTO", "JOIN", "ON", "TABLE", "TRUNCATE", "UPDATE", "COPY"})


class Named(NamedTuple):
    """A table as a statement names it; `schema` is empty without one."""

    schema: str
    table: str


class Foreign(NamedTuple):
    """A table that another service owns."""

    owner: str
    table: str


class TableOwners:
    """Whose tables the statements of a system name.

    A table without a schema is the service's own when it has one of that name. With a schema it belongs to the service
    whose name, or whose database's name, that is.
    """

    def __init__(self, system: System) -> None:
        self._own = {service.name: _tables(service) for service in system.services}
        self._schemas = {
            name: service.name
            for service in system.services
            for name in (service.name, service.database, f"{system.name}_{service.database}")
        }
        self._words = {name: self._words_of_others(name) for name in self._own}

    def foreign(self, service: str, statement: str, dialects: Sequence[str]) -> list[Foreign]:
        """The tables of others that a service's statement names, each once.

        Args:
            service: whose statement it is.
            statement: complete, or a part such as a condition.
            dialects: of sqlglot's, tried one after another.
        """
        if self._words[service].isdisjoint(_WORD.findall(statement.lower())):
            return []  # most statements need no parsing: nothing in them has a name that could be another's
        found = (self._owner(service, named) for named in tables_of(statement, dialects))
        return list(dict.fromkeys(foreign for foreign in found if foreign is not None))

    def _words_of_others(self, service: str) -> frozenset[str]:
        schemas = {name for name, owner in self._schemas.items() if owner != service}
        return frozenset(schemas.union(*self._own.values()) - (self._own[service] - schemas))

    def _owner(self, service: str, named: Named) -> Foreign | None:
        if named.schema:
            owner = self._schemas.get(named.schema)
            return Foreign(owner, named.table) if owner not in (None, service) else None
        if named.table in self._own[service]:
            return None
        owner = next((name for name, tables in self._own.items() if named.table in tables), None)
        return Foreign(owner, named.table) if owner else None


def tables_of(statement: str, dialects: Iterable[str]) -> list[Named]:
    """Every table that the statement names, but not those that it makes for itself by WITH.

    What none of the dialects can parse is read by its words: a name after FROM, INTO, JOIN or the like counts.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    statement = statement.replace("%s", "?")
    if _PARSED.match(statement) or not _STATEMENT.match(statement):
        for dialect in dialects:
            try:
                parsed = sqlglot.parse(statement, dialect=dialect)
            except SqlglotError:
                continue
            return [named for tree in parsed if tree is not None for named in _named(tree)]
    return _by_words(statement)


def _named(tree: exp.Expr) -> list[Named]:
    from sqlglot import exp

    made = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found = [Named(table.db.lower(), table.name.lower()) for table in tree.find_all(exp.Table)]
    return [named for named in found if named.schema or named.table not in made]


def _by_words(statement: str) -> list[Named]:
    words = re.findall(r"[\w.`\"]+", statement)
    after = (following for word, following in pairwise(words) if word.upper() in _BEFORE_A_TABLE)
    parts = (re.sub(r"[`\"]", "", name).lower().rpartition(".") for name in after)
    return [Named(schema.rpartition(".")[2], table) for schema, _, table in parts]


def _tables(service: Service) -> frozenset[str]:
    own = {table.name.lower() for table in service.metadata.tables.values()}
    return frozenset(own | {service.table_names.get(name, name).lower() for name in FRAMEWORK_TABLES})
