"""Whatever fits the OpenAPI document, and whatever does not, gets an answer that the document foresees."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, Person
from tests.systems.booking_rush.stage import Stage, open_stage

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
EXAMPLES = 3
SEARCH = settings(
    max_examples=EXAMPLES,
    database=None,
    derandomize=True,  # the same requests on every run: a red build stays red until it is mended
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ROLES = ["public", "customer", "organizer", "admin"]


@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", ROLES)
async def test_every_answer_is_one_that_the_document_foresees(databases: Databases, tmp_path: Path, role: str) -> None:
    async with open_stage(databases, tmp_path) as stage:
        people = {name: await stage.person(name) for name in ("customer", "organizer", "admin")}  # type: ignore[arg-type]
        ids = await _something_of_everything(stage, people)
        document = (await stage.http.get("/openapi.json")).json()
        probe = Probe(stage, people.get(role), ids, asyncio.get_running_loop())
        operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
        for operation in operations:
            await asyncio.to_thread(_search, operation, GenerationMode.POSITIVE, probe)
            if _can_be_violated(operation):
                await asyncio.to_thread(_search, operation, GenerationMode.NEGATIVE, probe)
        await stage.world.settle()  # what was let in is delivered, and kills no handler

        assert len(operations) > 55
        assert probe.failures == []
        answered = probe.statuses
        assert sum(answered[status] for status in (200, 201, 202)) > 15, answered
        assert answered[400 if probe.who else 401] > 60, answered


async def _something_of_everything(stage: Stage, people: dict[str, Person]) -> dict[str, Any]:
    """Ids that lead somewhere, by the word in the path and by the field in a body."""
    event = await stage.event(people["organizer"])
    category = await stage.made("/categories", people["admin"], name="Rock")
    booking_id = await stage.held(people["customer"], event)
    payment = await stage.payment(booking_id)
    found = {
        "event": event["id"], "show": event["show"]["id"], "zone": event["zones"][0]["id"], "booking": booking_id,
        "payment": str(payment.id), "category": category["id"], "user": str(people["customer"].id),
        "tenant": str(ABROAD),
    }  # fmt: skip
    return {f"{name}_id": id for name, id in found.items()} | {"organizer_id": str(people["organizer"].id)}


class Probe:
    """Sends generated requests as one person and collects what is wrong with the answers.

    Args:
        who: None sends no token.
        ids: put in the place of some of the generated ones, so that requests come past the first refusal.
        loop: where the system runs; requests come from another thread.
    """

    def __init__(self, stage: Stage, who: Person | None, ids: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self._stage = stage
        self.who = who
        self._ids = ids
        self._loop = loop
        self.failures: list[str] = []
        self.statuses: Counter[int] = Counter()

    def __call__(self, case: schemathesis.Case, known: bool) -> None:
        if known:
            self._put_ids(case)
        sent = case.as_transport_kwargs(base_url="http://gateway.test", headers=self._headers(case))
        raw = sent.pop("data", None)  # httpx's name for a body that is no JSON is another
        assert not sent.pop("cookies")  # no operation has any
        sending = partial(self._stage.http.request, **sent, **({} if raw is None else {"content": raw}))
        answer = asyncio.run_coroutine_threadsafe(sending(), self._loop).result(30)
        self.statuses[answer.status_code] += 1
        # The simulated gateway has no portal, and says so.
        told = [check for check in CHECKS if check is not not_a_server_error or answer.status_code != 501]
        try:
            case.validate_response(answer, checks=told)
        except FailureGroup as group:
            self.failures += [_told(case, answer, str(error)) for error in group.exceptions]

    def _headers(self, case: schemathesis.Case) -> dict[str, str]:
        if self.who is not None:
            return self.who.headers
        case.headers.pop("Authorization", None)
        return {}

    def _put_ids(self, case: schemathesis.Case) -> None:
        first = re.match(r"/api/v1/(?:events|shows|zones|categories|bookings|payments|users|tenants)", case.path)
        kind = first[0].rpartition("/")[2] if first else ""
        singular = "category" if kind == "categories" else kind.removesuffix("s")
        for name in case.path_parameters or {}:
            wanted = self._ids.get(name if name != "id" else f"{singular}_id")
            if wanted is not None:
                case.path_parameters[name] = wanted
        for fields in (case.body, case.query):
            if isinstance(fields, dict):
                fields.update({name: id for name, id in self._ids.items() if name in fields})


def _can_be_violated(operation: Any) -> bool:
    """Whether there is anything that does not fit: any text is a fitting one in a path."""
    in_path = [parameter.definition["schema"] for parameter in operation.path_parameters]
    return bool(operation.body or operation.query or operation.headers) or any(len(each) > 2 for each in in_path)


def _search(operation: Any, mode: GenerationMode, probe: Callable[[schemathesis.Case, bool], None]) -> None:
    SEARCH(given(operation.as_strategy(generation_mode=mode), st.booleans())(probe.__call__))()


def _told(case: schemathesis.Case, answer: httpx.Response, failure: str) -> str:
    return f"{case.method} {case.formatted_path} {case.body!r:.300} -> {answer.status_code} {failure}"
