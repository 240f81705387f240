"""Entity-relationship diagrams: what a service owns, and what its rows refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from freehold.inspect.diagrams.drawing import (
    Box,
    Description,
    Drawing,
    Link,
    Mark,
    Picture,
    Row,
    colours,
    mermaid,
    quoted,
)

LEGEND: tuple[tuple[Mark, str], ...] = (
    ("solid", "foreign key, within a service"),
    ("dashed", "soft reference, kept by no database"),
)
_TABLE = "table {}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that holds the key of a row of some table; `soft` when no database knows of it."""

    service: str
    table: str
    column: str
    target_service: str
    target_table: str
    soft: bool
    optional: bool

    @property
    def mark(self) -> Mark:
        return "dashed" if self.soft else "solid"


def references(description: Description) -> Iterator[Reference]:
    """Every foreign key and every soft reference, by service, table and column."""
    for service, declared in description["services"].items():
        for table, said in declared["tables"].items():
            for name, column in said["columns"].items():
                target = column["soft_ref"] or column["foreign_key"]
                if target is not None:
                    owner, other, _ = target.split(".", 2)
                    soft = column["soft_ref"] is not None
                    yield Reference(service, table, name, owner, other, soft, column["nullable"])


def er(description: Description, service: str | None) -> Picture:
    """The tables of a service with all their columns; of all services, with those that refer to something, for None."""
    found = [each for each in references(description) if service in (None, each.service)]
    if service is None:
        title = f"{description['title']}: tables of all services"
        return Picture("er", _mermaid(description, found, None), _whole(description, found, title))
    title = f"{service}: tables"
    return Picture(f"er-{service}", _mermaid(description, found, service), _one(description, found, service, title))


# --- drawings ---------------------------------------------------------------------------------------------------------


def _whole(description: Description, found: list[Reference], title: str) -> Drawing:
    """A box for each service, its tables stacked in it, so that links leave at its sides and cross no table."""
    colour = colours(description)
    boxes = []
    for service, declared in description["services"].items():
        rows = []
        for table in declared["tables"]:
            rows.append(Row(table, key=_TABLE.format(table), heading=True))
            mine = (each for each in found if (each.service, each.table) == (service, table))
            rows += [Row(each.column, key=f"{table}.{each.column}") for each in mine]
        if rows:
            boxes.append(Box(service, service, rows, colour[service]))
    known = {box.name: {row.key for row in box.rows} for box in boxes}
    links = [
        Link(
            each.service,
            each.target_service,
            f"{each.table}.{each.column}",
            _TABLE.format(each.target_table),
            colour=colour[each.target_service],
            mark=each.mark,
        )
        for each in found
        if _TABLE.format(each.target_table) in known.get(each.target_service, ())
    ]
    return Drawing(title, boxes, links, LEGEND)


def _one(description: Description, found: list[Reference], service: str, title: str) -> Drawing:
    colour = colours(description)
    tables = description["services"][service]["tables"]
    boxes = [
        Box(
            f"{service}.{name}",
            name,
            [_column(column, said) for column, said in table["columns"].items()],
            colour[service],
        )
        for name, table in tables.items()
    ]
    own = {box.name for box in boxes}
    others = dict.fromkeys(f"{each.target_service}.{each.target_table}" for each in found)
    boxes += [
        Box(name, name, colour=colour.get(name.partition(".")[0]), shape="elsewhere")
        for name in others
        if name not in own
    ]
    links = [
        Link(
            f"{service}.{each.table}",
            f"{each.target_service}.{each.target_table}",
            each.column,
            colour=colour.get(each.target_service),
            mark=each.mark,
        )
        for each in found
    ]
    return Drawing(title, boxes, links, LEGEND)


def _column(name: str, said: dict[str, Any]) -> Row:
    return Row(name, f"{_key(said)} {said['type']}{'?' if said['nullable'] else ''}".strip(), key=name)


def _key(said: dict[str, Any]) -> str:
    kinds = [("PK", said["primary_key"]), ("FK", said["foreign_key"]), ("ref", said["soft_ref"])]
    return " ".join(word for word, there in kinds if there)


# --- Mermaid ----------------------------------------------------------------------------------------------------------


def _mermaid(description: Description, found: list[Reference], service: str | None) -> str:
    lines = []
    for name, declared in description["services"].items():
        if service not in (None, name):
            continue
        for table, said in declared["tables"].items():
            lines.append(f"{_entity(name, table)}[{quoted(f'{name}.{table}')}] {{")
            lines += [f"    {_attribute(column, each)}" for column, each in said["columns"].items()]
            lines.append("}")
    for each in found:
        one = "|o" if each.optional else "||"
        line = ".." if each.soft else "--"
        there, here = _entity(each.target_service, each.target_table), _entity(each.service, each.table)
        lines.append(f"{there} {one}{line}o{{ {here} : {quoted(each.column)}")
    return mermaid("erDiagram", lines)


def _entity(service: str, table: str) -> str:
    return f"{service}__{table}"


def _attribute(name: str, said: dict[str, Any]) -> str:
    kind = re.sub(r"\W+", "_", said["type"]).strip("_")
    keys = ", ".join(word for word, there in (("PK", said["primary_key"]), ("FK", said["foreign_key"])) if there)
    target = said["soft_ref"]
    return " ".join(filter(None, [kind, name, keys, quoted(f"refers to {target}") if target else ""]))
