"""OpenAPI and AsyncAPI, against the field's own validators and against the running system."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import AfterValidator, Field

from freehold import Event, Money, Timestamp
from freehold.deploy.given import given_to, provided_to
from freehold.http.declared import openapi_documents
from freehold.inspect.asyncapi import asyncapi
from freehold.inspect.catalogue import catalogue
from freehold.inspect.examples import example
from freehold.model.envelope import Envelope
from freehold.model.system import System
from freehold.testing import World
from systems.booking_rush.system import system as booking_rush
from tests.unit.inspect.fourteen import fourteen

ASYNCAPI = Path(__file__).parents[2] / "contracts" / "asyncapi-3.0.0.json"
"""The project's own schema, from @asyncapi/specs 6.11.1 (schemas/3.0.0.json), Apache-2.0: its licence lies beside it."""

FORMATS = jsonschema.FormatChecker(["uuid", "date", "date-time", "email"])
both = pytest.mark.parametrize("system", [booking_rush, fourteen()], ids=lambda system: system.name)


def faults_of_asyncapi(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft7Validator(json.loads(ASYNCAPI.read_text()))
    return [error.message for error in validator.iter_errors(document)]


# --- OpenAPI ----------------------------------------------------------------------------------------------------------


@both
def test_openapi_documents_are_valid(system: System) -> None:
    services, gateway = openapi_documents(system, provided_to)

    for document in [gateway, *services.values()]:
        OpenAPIV31SpecValidator(document).validate()


async def test_what_is_declared_is_what_a_running_system_answers() -> None:
    services, gateway = openapi_documents(booking_rush, provided_to)

    async with World(booking_rush) as world:
        for name, document in services.items():
            assert (await world.service(name).get("/openapi.json")).json() == document
            process = world.process
            given = given_to(
                name, {}, identities=process._identities, store=process.store, objects=process._objects, folder=Path()
            )
            assert given.keys() <= provided_to(process.units[name].host.service)
        assert (await world.http.get("/openapi.json")).json() == gateway


# --- AsyncAPI ---------------------------------------------------------------------------------------------------------


@both
def test_asyncapi_is_valid(system: System) -> None:
    assert faults_of_asyncapi(asyncapi(system)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.6.0"),
        (("operations", "booking.send.booking.transactions", "action"), "publish"),
        (("channels", "booking.transactions", "adress"), "typo"),
        (("components", "messages", "booking.reserved", "bindings", "kafka", "bindingVersion"), "9.9"),
    ],
)
def test_the_schema_finds_what_is_wrong(path: tuple[str, ...], value: str) -> None:
    document = deepcopy(asyncapi(booking_rush))
    *way, last = path
    part = document
    for name in way:
        part = part[name]
    part[last] = value

    assert faults_of_asyncapi(document)


def test_every_reference_in_asyncapi_leads_somewhere() -> None:
    document = asyncapi(booking_rush)

    def references(part: Any) -> list[str]:
        if isinstance(part, list):
            return [found for each in part for found in references(each)]
        if not isinstance(part, dict):
            return []
        here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return here + [found for each in part.values() for found in references(each)]

    for reference in references(document):
        part = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_operations_say_who_sends_and_who_receives() -> None:
    document = asyncapi(booking_rush)

    sent = document["operations"]["booking.send.booking.transactions"]
    received = document["operations"]["ticket.receive.booking.transactions"]

    assert sent["action"] == "send"
    assert {"$ref": "#/channels/booking.transactions/messages/booking.reserved"} in sent["messages"]
    assert received["bindings"]["kafka"]["groupId"]["enum"] == ["ticket"]
    told = {
        (name.split(".")[0], each["$ref"].rpartition("/")[2])
        for name, operation in document["operations"].items()
        for each in operation["messages"]
        if operation["action"] == "receive"
    }
    assert told == {(s.name, m.__message__.name) for s in booking_rush.services for m in s.consumes()}


def test_examples_on_the_wire_fit_their_schemas_and_can_be_read() -> None:
    document = asyncapi(booking_rush)
    messages = booking_rush.messages()

    for name, message in document["components"]["messages"].items():
        payload = message["examples"][0]["payload"]
        schema = {**message["payload"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(payload)
        envelope = Envelope.from_wire(json.dumps(payload).encode(), "topic")
        assert messages[name].read(envelope).key == envelope.key


# --- the catalogue ----------------------------------------------------------------------------------------------------


class Bid(Event, name="bid.placed", topic="bids", key="bid_id"):
    """Somebody offers a price."""

    bid_id: UUID
    price: Money
    at: Timestamp
    code: Annotated[str, Field(min_length=6, max_length=8)]
    share: Annotated[Decimal, Field(gt=0, lt=1)] | None = None
    words: list[str]


class Odd(Event, name="odd.counted", topic="bids", key="number"):
    @staticmethod
    def _refuse(value: str) -> str:
        raise ValueError("nothing is good enough")

    number: Annotated[str, AfterValidator(_refuse)]


def test_an_example_fits_its_types_and_is_always_the_same() -> None:
    made = example(Bid)

    assert made is not None
    assert Bid.model_validate(made).model_dump(mode="json") == made
    assert made["price"] == "1.00"
    assert 6 <= len(made["code"]) <= 8
    assert made == example(Bid)


def test_no_example_where_a_rule_refuses_what_the_types_allow() -> None:
    assert example(Odd) is None


def test_the_catalogue_names_handlers_sagas_and_views() -> None:
    entry = catalogue(booking_rush).entries["payment.completed"]

    assert [part.service for part in entry.senders] == ["payment"]
    assert {(part.service, part.how) for part in entry.takers if part.service == "booking"} == {
        ("booking", "saga post_payment_saga"),
        ("booking", "saga booking_saga"),
    }
    charge = catalogue(booking_rush).entries["payment.charge"]
    assert (charge.kind, [part.how for part in charge.senders]) == (
        "command",
        ["saga booking_saga, step process-payment"],
    )
