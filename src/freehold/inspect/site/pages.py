"""The pages of the site: which template each is made with, and what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from freehold.inspect.asyncapi import example_on_the_wire
from freehold.inspect.catalogue import Entry
from freehold.inspect.message_schema import Schema
from freehold.inspect.rules import RULES
from freehold.inspect.site.api import operations
from freehold.inspect.site.facts import Facts
from freehold.inspect.site.schemas import fields

GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Args:
        path: below the site's folder.
        template: what it is made with.
        title: its heading.
        kind: what the search says that it is.
        shown: what its template gets besides the facts.
        words: what it is found by, besides its title.
    """

    path: str
    template: str
    title: str
    kind: str
    shown: dict[str, Any] = field(default_factory=dict)
    words: str = ""

    @property
    def root(self) -> str:
        """The way from the page to the site's folder."""
        return "../" * self.path.count("/")


def pages(facts: Facts) -> Iterator[Page]:
    """Every page of the site."""
    yield Page("index.html", "overview.html", facts.description["title"], "overview")
    for name, declared in facts.description["services"].items():
        yield _service(facts, name, declared)
    yield Page("messages.html", "messages.html", "Events and commands", "catalogue")
    for entry in facts.messages.entries.values():
        yield _message(facts, entry)
    if facts.description["sagas"]:
        words = " ".join(f"{saga['name']} {_steps(saga)}" for saga in facts.description["sagas"])
        yield Page("sagas.html", "sagas.html", "Sagas", "catalogue", words=words)
    yield Page("tables.html", "tables.html", "Tables", "catalogue", words="er entities foreign keys soft references")
    for name, document in {GATEWAY: facts.gateway, **facts.openapi}.items():
        yield _api(name, document)
    yield Page("asyncapi.html", "asyncapi.html", "AsyncAPI", "api", words=" ".join(facts.asyncapi["channels"]))
    yield Page("checks.html", "checks.html", "Checks", "catalogue", {"rules": RULES})


def _service(facts: Facts, name: str, declared: dict[str, Any]) -> Page:
    parts = [part for entry in facts.messages.entries.values() for part in _consumption(entry, name)]
    queries = facts.description["queries"]
    shown = {
        "name": name,
        "service": declared,
        "taken": parts,
        "answers": {query: queries[f"{name}.{query}"] for query in declared["answers"]},
        "asks": {query: queries[query] for query in declared["asks"]},
        "views": [view for view in facts.description["views"] if view["service"] == name],
        "sagas": [saga for saga in facts.description["sagas"] if saga["service"] == name],
    }
    words = " ".join([declared["description"], *declared["tables"], *declared["jobs"]])
    return Page(f"services/{name}.html", "service.html", name, "service", shown, words)


def _consumption(entry: Entry, service: str) -> Iterator[tuple[Entry, str]]:
    how = [part.how for part in entry.takers if part.service == service]
    if how:
        yield entry, ", ".join(how)


def _message(facts: Facts, entry: Entry) -> Page:
    schemas = facts.messages.schemas
    schema = schemas[entry.schema]
    shown = {
        "entry": entry,
        "fields": list(fields(schema, schemas)),
        "versions": list(_versions(facts, entry)),
        "schema": {**schema, **_definitions(schema, schemas)},
        "wire": example_on_the_wire(entry) if entry.example is not None else None,
    }
    words = " ".join([entry.about, entry.spec.topic, *schema.get("properties", {})])
    return Page(f"messages/{entry.spec.name}.html", "message.html", entry.spec.name, entry.kind, shown, words)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a message: what is done with it today, and what it changed of the one before."""

    number: int
    today: str
    changes: list[str]


def _versions(facts: Facts, entry: Entry) -> Iterator[Version]:
    before: Schema | None = None
    for number, schema in sorted(facts.versions[entry.spec.name].items()):
        differences = before.differences(schema) if before is not None else ()
        changes = [f"{what} {problem}" for what, problem, _ in differences]
        readable = set(range(number, entry.spec.version)) <= set(entry.upcasts)
        today = "declared" if number == entry.spec.version else "still read" if readable else "no longer read"
        yield Version(number, today, changes)
        before = schema


def _definitions(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas that this one refers to, and those that they refer to."""
    found: dict[str, Any] = {}
    left = [schema]
    while left:
        text = str(left.pop())
        new = {name: each for name, each in schemas.items() if f"/{name}'" in text and name not in found}
        found |= new
        left += new.values()
    return {"$defs": found} if found else {}


def _steps(saga: dict[str, Any]) -> str:
    return " ".join(step["name"] for step in saga["steps"])


def _api(name: str, document: dict[str, Any]) -> Page:
    found = list(operations(document))
    title = "Gateway API" if name == GATEWAY else f"{name} API"
    shown = {"name": name, "document": document, "operations": found}
    return Page(f"api/{name}.html", "api.html", title, "api", shown, "")
