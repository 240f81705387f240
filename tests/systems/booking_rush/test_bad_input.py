"""Whatever a client sends that is wrong: one clear problem, and nothing written anywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from freehold import User
from freehold.identity import KeyRing, TokenIssuer
from tests.databases import Databases
from tests.systems.booking_rush.bad_input import JSON, Operation, Scene, faults, misfits
from tests.systems.booking_rush.stage import open_stage

# What is refused before a transaction is the same on every engine; the whole matrix tries it on a server, too.
pytestmark = pytest.mark.engines(1, 2)
NOWHERE = "00000000-0000-7000-8000-00000000dead"
TWO_MEBIBYTES = 2 * 1024 * 1024
NO_DOCUMENTS = {
    "nothing": b"",
    "half": b'{"name": "x"',
    "two": b"{} {}",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "a number": b"7",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "half a pair": b'{"name": "\\ud800"}',
    "a raw NUL": b'{"name": "a\0b"}',
    "a NUL in a name": b'{"a\\u0000b": 1}',
    "a NUL within": b'{"settings": {"a": [{"b": "\\u0000"}]}}',
    "deep": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "XML": b"<name>x</name>",
    "a form": b"name=x&slug=y",
}


@pytest.fixture
async def scene(databases: Databases, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_stage(databases, tmp_path) as stage:
        yield await Scene.of(stage)


@asynccontextmanager
async def nothing_written(scene: Scene) -> AsyncIterator[list[str]]:
    """Collects in words what was wrong in the block, and compares every table before and after it."""
    wrong: list[str] = []
    before = await scene.fingerprint()
    yield wrong
    await scene.stage.world.settle()
    after = await scene.fingerprint()
    wrong += [f"{table} has changed" for table in before if before[table] != after[table]]
    assert not wrong, "\n".join(wrong)


def note(wrong: list[str], what: object, found: list[str]) -> None:
    wrong += [f"{what}: {fault}" for fault in found]


# --- the suite itself -------------------------------------------------------------------------------------------------


async def test_what_the_others_spoil_is_good_by_itself(scene: Scene) -> None:
    """Without this a request could be refused for another reason than the one under test."""
    bad_by_nature = {"/auth/login", "/auth/refresh", "/payments/intent/confirm", "/confirm", "/refund", "/portal"}
    for operation in sorted(scene.with_body(), key=lambda one: ("cancel" in one.template, "payment" in one.template)):
        answer = await scene.send(operation, json=scene.good_body(operation))
        refused = any(operation.template.endswith(end) for end in bad_by_nature)
        assert answer.is_success or (refused and answer.status_code in (401, 402, 404, 409, 501)), (
            operation,
            answer.text,
        )


async def test_the_fingerprint_sees_a_single_row(scene: Scene) -> None:
    before = await scene.fingerprint()
    answer = await scene.stage.call("POST", "/categories", scene.people["admin"], name="Jazz")
    after = await scene.fingerprint()

    assert answer.status_code == 201
    assert {table for table in before if before[table] != after[table]} == {"ticket.categories"}


# --- bodies -----------------------------------------------------------------------------------------------------------


async def test_bodies_that_are_no_documents(scene: Scene) -> None:
    async with nothing_written(scene) as wrong:
        for operation in scene.with_body():
            optional = not operation.description["requestBody"].get("required")
            for name, body in NO_DOCUMENTS.items():
                if not (optional and name in ("nothing", "null")):
                    answer = await scene.send(operation, content=body, headers={"Content-Type": JSON})
                    note(wrong, f"{operation} with {name}", faults(answer, 400))


async def test_fields_that_are_missing(scene: Scene) -> None:
    async with nothing_written(scene) as wrong:
        for operation in scene.with_body():
            assert operation.body is not None
            required = operation.body.get("required", [])
            if required or operation.method == "PUT":
                answer = await scene.send(operation, json={})
                note(wrong, f"{operation} with {{}}", faults(answer, 400))
            for field in required:
                rest = {name: value for name, value in scene.good_body(operation).items() if name != field}
                answer = await scene.send(operation, json=rest)
                note(wrong, f"{operation} without {field}", faults(answer, 400, field=field))


async def test_fields_of_the_wrong_kind(scene: Scene) -> None:
    tried = 0
    async with nothing_written(scene) as wrong:
        for operation in scene.with_body():
            assert operation.body is not None
            for field, schema in operation.body["properties"].items():
                for value in misfits(operation, schema):
                    content = json.dumps({**scene.good_body(operation), field: value})
                    answer = await scene.send(operation, content=content, headers={"Content-Type": JSON})
                    note(wrong, f"{operation} {field}={value!r:.50}", faults(answer, 400, field=field))
                    tried += 1
    assert tried > 400


async def test_the_last_of_two_fields_of_one_name_counts_everywhere(scene: Scene) -> None:
    async with nothing_written(scene) as wrong:
        for method, path, twice in (
            ("POST", "/bookings/reserve", '"quantity": 11'),
            ("POST", "/categories", '"name": ""'),
        ):
            operation = _operation(scene, method, path)
            content = json.dumps(scene.good_body(operation))[:-1] + f", {twice}}}"
            answer = await scene.send(operation, content=content, headers={"Content-Type": JSON})
            note(wrong, operation, faults(answer, 400, field=twice.split('"')[1]))


async def test_bodies_that_are_too_large(scene: Scene) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(TWO_MEBIBYTES // 65536):
            yield b" " * 65536

    async with nothing_written(scene) as wrong:
        for operation in scene.operations:
            if operation.method in ("POST", "PUT"):
                for body in (b" " * TWO_MEBIBYTES, chunks()):
                    answer = await scene.send(operation, content=body, headers={"Content-Type": JSON})
                    note(wrong, operation, faults(answer, 413, code="PAYLOAD_TOO_LARGE"))


async def test_bodies_of_another_content_type(scene: Scene) -> None:
    async with nothing_written(scene) as wrong:
        for operation in scene.with_body():
            for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
                content = json.dumps(scene.good_body(operation))
                answer = await scene.send(operation, content=content, headers={"Content-Type": kind})
                note(wrong, f"{operation} as {kind}", faults(answer, 415, code="UNSUPPORTED_MEDIA_TYPE"))


async def test_a_chunked_body_is_read_like_any_other(scene: Scene) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b'{"na', b'me": "Ja', b'zz"}'):
            yield part

    operation = _operation(scene, "POST", "/categories")
    answer = await scene.send(operation, content=parts(), headers={"Content-Type": JSON})
    assert (answer.status_code, answer.json()["name"]) == (201, "Jazz")


# --- paths and query strings ------------------------------------------------------------------------------------------


async def test_ids_of_nothing_and_ids_that_are_none(scene: Scene) -> None:
    none = ["x", "123", "%00", "x" * 5000, NOWHERE + "0", "..%2F..%2Fetc", "'%20OR%201=1--", "%F0%9F%8E%B8", "%FF"]
    async with nothing_written(scene) as wrong:
        for operation in scene.operations:
            for name, schema in operation.parameters("path"):
                is_id = schema.get("format") == "uuid"
                body = {"json": scene.good_body(operation)} if operation.body is not None else {}
                sent = await scene.send(operation, path=scene.path(operation, **{name: NOWHERE}), **body)
                other = "/users/" in operation.template or "/payments/user/" in operation.template
                note(wrong, f"{operation} nowhere", faults(sent, *((403, 404) if other else (404,))))
                for given in none:
                    sent = await scene.send(operation, path=scene.path(operation, **{name: given}), **body)
                    expected = (400, 403, 404) if is_id else (400, 404)
                    note(wrong, f"{operation} {given:.30}", faults(sent, *expected))


async def test_query_strings(scene: Scene) -> None:
    tried = 0
    async with nothing_written(scene) as wrong:
        for operation in scene.operations:
            good = {name: scene.ids["events"] for name, _ in operation.parameters("query") if name == "event_id"}
            for name, schema in operation.parameters("query"):
                for value in _query_misfits(schema):
                    answer = await scene.send(operation, params={**good, name: value})
                    note(wrong, f"{operation}?{name}={value:.30}", faults(answer, 400, field=name))
                    tried += 1
    assert tried > 100


def _query_misfits(schema: Any) -> list[str]:
    (kind,) = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    if kind["type"] == "integer":
        return ["x", "", "1.5", "1e9", str(kind["minimum"] - 1), str(kind["maximum"] + 1), "9" * 40, "%00"]
    if kind["type"] == "boolean":
        return ["maybe", "2", ""]
    if "enum" in kind or "format" in kind:
        return ["no such thing", "", "\0"]
    return ["x" * (kind["maxLength"] + 1)]


async def test_cursors_that_no_list_gave(scene: Scene) -> None:
    def encoded(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    cursors = ["x", "%", "\0", "é", encoded(1), encoded([]), encoded(["x"]), encoded(["x", "y"]), encoded({"a": 1}),
               encoded([None, None]), encoded(["9" * 300, NOWHERE]), encoded([[1], NOWHERE]), "A" * 499]  # fmt: skip
    async with nothing_written(scene) as wrong:
        for operation in scene.operations:
            if "cursor" in dict(operation.parameters("query")):
                for cursor in cursors:
                    answer = await scene.send(operation, params={"cursor": cursor})
                    note(wrong, f"{operation} {cursor!r:.30}", faults(answer, 400))


async def test_paths_and_methods_that_are_not_there(scene: Scene) -> None:
    http = scene.stage.http
    async with nothing_written(scene) as wrong:
        for path in ("/api/v1/nothing", "/api/v1/internal/bookings/" + NOWHERE, "/", "/api/v1/events/", "//", "/%00"):
            note(wrong, path, faults(await http.get(path), 404, code="NOT_FOUND"))
        for method, path in (("DELETE", "/api/v1/events"), ("PATCH", "/api/v1/bookings"), ("TRACE", "/api/v1/events")):
            note(wrong, f"{method} {path}", faults(await http.request(method, path), 405, code="METHOD_NOT_ALLOWED"))


# --- tokens -----------------------------------------------------------------------------------------------------------


def bad_tokens(scene: Scene) -> dict[str, tuple[str | bytes, str]]:
    """Authorization headers with the code that they deserve."""
    world, customer = scene.stage.world, scene.people["customer"]
    ring = world.process.units["auth"].host.provided.use(KeyRing)
    somebody = User(customer.id, customer.email, frozenset({"super_admin"}), frozenset(), customer.tenant)
    good = world.token(somebody)
    head, claims, signature = good.split(".")
    read = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    typed = {"kid": kid, "typ": "at+jwt"}
    name = world.system.name
    key = ring.active.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    def issued(ttl: int = 900, **by: str) -> str:
        issuer = TokenIssuer(ring, **{"issuer": name, "audience": name, **by}, ttl=ttl, clock=world.clock)
        return issuer.issue(somebody)

    invalid = {
        "garbage": "x",
        "three parts": "a.b.c",
        "tampered claims": f"{head}.{part(read | {'sub': str(UUID(int=7))})}.{signature}",
        "cut signature": good[:-4],
        "no signature": f"{head}.{claims}.",
        "alg none": f"{part({**typed, 'alg': 'none'})}.{claims}.",
        "public key as a secret": _hs256(read, key, typed),
        "unknown key": f"{part({'alg': 'EdDSA', 'typ': 'at+jwt', 'kid': 'other'})}.{claims}.{signature}",
        "another audience": issued(audience="another"),
        "another issuer": issued(issuer="another"),
        "another purpose": TokenIssuer(ring, issuer=name, audience=name, clock=world.clock).issue_claims(
            {"sub": str(customer.id)}
        ),
        "long": "x" * 10_000,
    }
    found: dict[str, tuple[str | bytes, str]] = {
        what: (f"Bearer {token}", "INVALID_TOKEN") for what, token in invalid.items()
    }
    return found | {
        "none": ("", "MISSING_TOKEN"),
        "another scheme": ("Basic dTpw", "INVALID_TOKEN"),
        "no token": ("Bearer ", "INVALID_TOKEN"),
        "not ASCII": ("Bearer é".encode(), "INVALID_TOKEN"),
        "expired": (f"Bearer {issued(ttl=-1)}", "TOKEN_EXPIRED"),
    }


def _hs256(claims: dict[str, Any], key: bytes, typed: dict[str, str]) -> str:
    """What a verifier takes for signed that believes the token about its algorithm."""
    import hashlib
    import hmac

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part({**typed, "alg": "HS256"}) + b"." + part(claims)
    mac = base64.urlsafe_b64encode(hmac.digest(key, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + mac).decode()


async def test_tokens(scene: Scene) -> None:
    tokens = bad_tokens(scene)
    protected = [operation for operation in scene.operations if operation.needs_user]
    async with nothing_written(scene) as wrong:
        for operation in protected:
            for what, (header, code) in tokens.items():
                body = {"json": scene.good_body(operation)} if operation.body is not None else {}
                answer = await scene.send(operation, headers={"Authorization": header}, **body)
                note(wrong, f"{operation} with token: {what}", faults(answer, 401, code=code))
                if not answer.headers.get("www-authenticate", "").startswith("Bearer"):
                    wrong.append(f"{operation}: 401 without WWW-Authenticate")
    assert len(protected) > 35


async def test_a_token_ends_on_the_second(scene: Scene) -> None:
    headers = scene.people["customer"].headers
    me = "/api/v1/bookings"
    scene.stage.world.clock.advance(minutes=14, seconds=59)
    assert (await scene.stage.http.get(me, headers=headers)).status_code == 200
    scene.stage.world.clock.advance(seconds=1)
    assert faults(await scene.stage.http.get(me, headers=headers), 401, code="TOKEN_EXPIRED") == []


# --- idempotency keys -------------------------------------------------------------------------------------------------


async def test_idempotency_keys(scene: Scene) -> None:
    async with nothing_written(scene) as wrong:
        for operation in scene.operations:
            if operation.key == "none":
                continue
            body = {"json": scene.good_body(operation)} if operation.body is not None else {}
            for key in ("k" * 201, "a\tb", b"\xff\x85"):
                answer = await scene.send(operation, headers={"Idempotency-Key": key}, **body)
                note(wrong, f"{operation} key {key!r:.20}", faults(answer, 400, code="INVALID_IDEMPOTENCY_KEY"))
            if operation.key == "required":
                answer = await scene.send(operation, headers={"Idempotency-Key": ""}, **body)
                note(wrong, f"{operation} without key", faults(answer, 400, code="MISSING_IDEMPOTENCY_KEY"))


async def test_a_key_is_for_one_request(scene: Scene) -> None:
    reserve = _operation(scene, "POST", "/bookings/reserve")
    good, headers = scene.good_body(reserve), {"Idempotency-Key": "one"}
    first = await scene.send(reserve, headers=headers, json=good)
    await scene.stage.world.settle()
    async with nothing_written(scene) as wrong:
        again = await scene.send(reserve, headers=headers, json=good)
        for operation in scene.operations:
            if operation.key == "none" or operation.template.split("/")[3] not in ("bookings", "saga"):
                continue  # keys belong to a person and a service
            body = {"json": {**scene.good_body(operation), "more": 1}} if operation.body is not None else {}
            answer = await scene.send(operation, headers=headers, **body)
            note(wrong, operation, faults(answer, 422, code="IDEMPOTENCY_KEY_REUSED"))
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["idempotent-replayed"] == "true"


def _operation(scene: Scene, method: str, path: str) -> Operation:
    return next(one for one in scene.operations if str(one) == f"{method} /api/v1{path}")
