"""What bad-input tests work with: requests that are right but for one thing, and what may never be in an answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import select

from tests.systems.booking_rush.catalogue import Person
from tests.systems.booking_rush.stage import Stage

JSON = "application/json"
LEAKS = re.compile(
    r"Traceback|\.py\b|sqlalchemy|asyncpg|sqlite3|pydantic|fastapi|starlette|IntegrityError|DataError"
    r"|\b(SELECT|INSERT|UPDATE|DELETE)\s+\w|\$\d|sqlstate|0x[0-9a-f]{6,}",
    re.IGNORECASE,
)
UNCOUNTED = ("idempotency_records", "audit_logs")


@dataclass(frozen=True)
class Operation:
    """One public route, as the OpenAPI document has it."""

    method: str
    template: str
    description: Mapping[str, Any]
    schemas: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def access(self) -> str:
        access: str = self.description["x-freehold-access"]
        return access

    @property
    def needs_user(self) -> bool:
        return self.access not in ("public", "signature")

    @property
    def key(self) -> str:
        """Whether an Idempotency-Key is `none`, `optional` or `required`."""
        given = [one for one in self.description.get("parameters", ()) if one["name"] == "Idempotency-Key"]
        return "none" if not given else "required" if given[0]["required"] else "optional"

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The schema of its body."""
        if "requestBody" not in self.description:
            return None
        given = self.description["requestBody"]["content"][JSON]["schema"]
        (schema,) = [each for each in given.get("anyOf", [given]) if each.get("type") != "null"]
        return self.resolved(schema)

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return found

    def parameters(self, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Names and schemas of the parameters in `path` or `query`."""
        for one in self.description.get("parameters", ()):
            if one["in"] == where:
                yield one["name"], one["schema"]


class Scene:
    """Booking Rush with something of everything, and requests that it would accept.

    `ids` leads from a word in a path to a row; `bodies` has a good body for each route that takes one.
    """

    def __init__(self, stage: Stage, operations: list[Operation]) -> None:
        self.stage = stage
        self.operations = operations
        self.people: dict[str, Person] = {}
        self.ids: dict[str, str] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self._keys = 0

    @classmethod
    async def of(cls, stage: Stage) -> Scene:
        document = (await stage.http.get("/openapi.json")).json()
        schemas = document["components"]["schemas"]
        operations = [
            Operation(method.upper(), template, description, schemas)
            for template, methods in document["paths"].items()
            for method, description in methods.items()
        ]
        scene = cls(stage, operations)
        await scene._furnish()
        return scene

    async def _furnish(self) -> None:
        stage = self.stage
        for role in ("customer", "organizer", "admin", "super_admin"):
            self.people[role] = await stage.person(role)  # type: ignore[arg-type]
        event = await stage.event(self.people["organizer"])
        booking_id = await stage.held(self.people["customer"], event)
        payment = await stage.payment(booking_id)
        category = await stage.made("/categories", self.people["admin"], name="Rock")
        joined = await stage.act("/queue/join", self.people["customer"], event_id=event["id"])
        customer = str(self.people["customer"].id)
        self.ids = {
            "events": event["id"], "shows": event["show"]["id"], "zones": event["zones"][0]["id"],
            "bookings": booking_id, "payments": str(payment.id), "categories": category["id"],
            "users": customer, "tenants": str(self.people["customer"].tenant), "booking_id": booking_id,
            "user_id": customer, "slug": event["slug"], "saga_id": booking_id, "event_id": event["id"],
            "analytics": event["id"],
        }  # fmt: skip
        seats = {"event_id": self.ids["events"], "show_id": self.ids["shows"], "zone_id": self.ids["zones"]}
        paid = {"booking_id": booking_id, "amount": 3000, "currency": "THB", "method": "credit_card"}
        self.bodies = {
            "POST /tenants": {"name": "New", "slug": "new-one"},
            "POST /auth/register": {"email": "new@example.com", "password": "Test123!", "name": "New"},
            "POST /auth/login": {"email": "new@example.com", "password": "Test123!"},
            "POST /auth/refresh": {"refresh_token": "t"},
            "POST /auth/logout": {"refresh_token": "t"},
            "PUT /auth/me": {"name": "Other"},
            "PUT /tenants/{id}": {"name": "Other"},
            "PUT /users/{id}": {"name": "Other"},
            "POST /categories": {"name": "Jazz"},
            "PUT /categories/{id}": {"name": "Jazz"},
            "POST /events": {"name": "New"},
            "PUT /events/{id}": {"name": "Other"},
            "POST /events/{id}/cancel": {},
            "POST /events/{id}/shows": {"show_date": "2030-04-01", "start_time": "19:30:00+07:00"},
            "PUT /shows/{id}": {"name": "Other"},
            "POST /shows/{id}/zones": {"name": "New", "price": 10, "total_seats": 5},
            "PUT /zones/{id}": {"name": "Other"},
            "POST /bookings/reserve": {**seats, "quantity": 1},
            "POST /saga/bookings": {**seats, "quantity": 1, "total_price": 3000},
            "POST /bookings/{id}/confirm": {},
            "POST /queue/join": {"event_id": (await stage.event(self.people["organizer"], name="Other"))["id"]},
            "DELETE /queue/leave": {"event_id": self.ids["events"], "token": joined.json()["token"]},
            "PUT /admin/queue/{event_id}": {"required": False},
            "POST /payments": paid,
            "POST /payments/intent": {name: value for name, value in paid.items() if name != "method"},
            "POST /payments/intent/confirm": {"payment_id": str(payment.id), "payment_intent_id": "x"},
            "POST /payments/portal": {"return_url": "https://example.com"},
            "POST /payments/{id}/process": {"card_token": "tok_visa"},
            "POST /payments/{id}/refund": {},
        }

    # --- requests -----------------------------------------------------------------------------------------------------

    def with_body(self) -> list[Operation]:
        return [operation for operation in self.operations if operation.body is not None]

    def good_body(self, operation: Operation) -> dict[str, Any]:
        return self.bodies[str(operation).replace("/api/v1", "")]

    def path(self, operation: Operation, **ids: str) -> str:
        """The path with ids of rows that are there, or with those that are given."""
        collection = operation.template.removeprefix("/api/v1/").partition("/")[0]
        known = {**self.ids, "id": self.ids.get(collection, "")}
        if operation.template.startswith("/api/v1/tenants/slug"):
            known["slug"] = "default"
        return operation.template.format(**{**known, **ids})

    def sender(self, operation: Operation) -> Person | None:
        """Somebody who may."""
        if not operation.needs_user:
            return None
        if operation.access.startswith("role:"):
            return self.people[operation.access.removeprefix("role:").rpartition(",")[2]]
        organized = operation.template.startswith("/api/v1/events")
        return self.people["organizer" if organized else "customer"]

    def headers(self, operation: Operation) -> dict[str, str]:
        """What a good request comes with."""
        sender = self.sender(operation)
        headers = {} if sender is None else sender.headers
        if sender is not None and sender.role == "super_admin":
            headers["X-Tenant-ID"] = str(sender.tenant)
        if operation.key == "required":
            self._keys += 1
            headers["Idempotency-Key"] = f"bad-{self._keys}"
        return headers

    async def send(
        self,
        operation: Operation,
        *,
        path: str | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        **request: Any,
    ) -> httpx.Response:
        """A good request but for what is given."""
        sent: dict[str, str | bytes] = {**self.headers(operation), **(headers or {})}
        return await self.stage.http.request(
            operation.method,
            path or self.path(operation),
            headers={k: v for k, v in sent.items() if v != ""},
            **request,
        )

    # --- what is in the databases -------------------------------------------------------------------------------------

    async def fingerprint(self) -> dict[str, str]:
        """A digest of every table of every service but those that may know of a refused request."""
        found: dict[str, str] = {}
        for name, unit in self.stage.world.process.units.items():
            tables = [*unit.host.service.metadata.tables.values(), *unit.host.tables.metadata.tables.values()]
            async with unit.host.engine.read() as connection:
                for table in tables:
                    if table.name not in UNCOUNTED:
                        rows = sorted(repr(tuple(row)) for row in await connection.execute(select(table)))
                        found[f"{name}.{table.name}"] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return found


def faults(answer: httpx.Response, *statuses: int, code: str = "", field: str = "") -> list[str]:
    """What is wrong with an answer that should refuse: in words, empty when nothing is."""
    if answer.status_code not in statuses:
        return [f"answered {answer.status_code} instead of {statuses}: {answer.text:.300}"]
    if answer.headers.get("content-type") != "application/problem+json":
        return [f"is {answer.headers.get('content-type')}, not a problem document"]
    document = answer.json()
    found = []
    if document.get("status") != answer.status_code or not document.get("title"):
        found.append(f"has no status or no title: {document}")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]+", document.get("code", "")):
        found.append(f"has no code: {document}")
    if code and document["code"] != code:
        found.append(f"has code {document['code']}, not {code}")
    if not document.get("detail"):
        found.append(f"says nothing to people: {document}")
    if not answer.headers.get("x-request-id"):
        found.append("has no request id")
    if leak := LEAKS.search(answer.text):
        found.append(f"tells internals ({leak[0]}): {answer.text:.300}")
    named = [each["field"] for each in document.get("errors", ())]
    if field and not any(re.fullmatch(rf"{field}(\..*)?", name) for name in named):
        found.append(f"names {named or 'no field'}, not {field}: {answer.text:.300}")
    return found


# --- values that do not fit -------------------------------------------------------------------------------------------


def misfits(operation: Operation, schema: Mapping[str, Any]) -> Iterator[Any]:
    """Values that the schema of a field does not allow."""
    kinds = [operation.resolved(each) for each in schema.get("anyOf", [schema])]
    if not any(kind.get("type") == "null" for kind in kinds) and "default" not in schema:
        yield None
    kinds = [kind for kind in kinds if kind.get("type") != "null"]
    types = {kind.get("type") for kind in kinds}
    if not types <= {"string", "integer", "number", "boolean", "array", "object"}:
        return  # anything goes
    if "object" not in types:
        yield {"a": {"b": 1}}
    if "array" not in types:
        yield [[]]
    if not types & {"integer", "number", "string"}:
        yield from (7, -0.5, "nothing")
    for kind in kinds:
        yield from _beyond(kind, types)


def _beyond(kind: Mapping[str, Any], types: set[Any]) -> Iterator[Any]:
    if kind["type"] == "string":
        if types == {"string"}:
            yield from (7, True)
        if "maxLength" in kind:
            yield "x" * (kind["maxLength"] + 1)
        if kind.get("minLength"):
            yield ""
        yield "nul\0here"
        if kind.get("format", "password") != "password" or "enum" in kind or "pattern" in kind:
            yield from ("", "no such thing")
        if kind.get("format", "").startswith(("date", "time")):
            yield from (7, "7", "2025-13-40", "25:00:00Z")
    elif kind["type"] in ("integer", "number"):
        yield from ("two", "", float("nan"), float("inf"), 10**40)
        if kind["type"] == "integer":
            yield 1.5
        if "maximum" in kind:
            yield kind["maximum"] + 1
        if "minimum" in kind:
            yield kind["minimum"] - 1
        if "exclusiveMinimum" in kind:
            yield kind["exclusiveMinimum"]
