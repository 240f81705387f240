"""events.lock, and the rules about versions of events and commands."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel

from freehold import ConfigurationError, DeclarationError, Event, Money, Service, System, uuid7
from freehold.inspect import RULES, Violation
from freehold.inspect.event_lock import Change, EventLock
from freehold.inspect.finding import violations
from freehold.inspect.survey import Survey
from freehold.model.envelope import Envelope
from freehold.model.errors import NewerVersion, NoUpcaster


class Line(BaseModel):
    sku: str
    count: int = 1


class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID
    total: Money
    channel: Literal["web", "shop"]
    lines: list[Line]
    note: str = ""


def shop(event: type[Event]) -> System:
    return System("shop", [Service("orders", publishes=[event])])


LOCK = EventLock({}).with_declared(shop(OrderPlaced))


def declared(**changed: Any) -> type[Event]:
    """OrderPlaced with some annotations replaced, added, or (None) taken out; `name=(annotation, default)`."""
    options = {"name": "order.placed", "topic": "orders", "key": "order_id", "version": 1}
    options |= {name: changed.pop(name) for name in list(changed) if name in options}
    fields: dict[str, Any] = {
        "order_id": UUID, "total": Money, "channel": Literal["web", "shop"], "lines": list[Line], "note": (str, ""),
    } | changed  # fmt: skip
    fields = {name: kind for name, kind in fields.items() if kind is not None}
    space = {name: kind[1] for name, kind in fields.items() if isinstance(kind, tuple)}
    annotations = {name: kind[0] if isinstance(kind, tuple) else kind for name, kind in fields.items()}
    body = {"__annotations__": annotations, "__module__": __name__, "__qualname__": "OrderPlaced", **space}
    made: type[Event] = type(Event)("OrderPlaced", (Event,), body, **options)
    return made


def changes(event: type[Event]) -> list[Change]:
    return LOCK.changes(shop(event))


def only(event: type[Event]) -> Change:
    (change,) = changes(event)
    return change


class Channel(Enum):
    WEB = "web"
    SHOP = "shop"


class OtherLine(BaseModel):
    article: str
    count: int = 1


def test_what_is_locked_is_as_it_was() -> None:
    assert changes(declared()) == []
    assert changes(declared(channel=Channel)) == []


@pytest.mark.parametrize(
    ("event", "what", "problem"),
    [
        (declared(gift=(bool, False)), "gift", "was added with a default"),
        (declared(channel=(Literal["web", "shop"], "web")), "channel", "has a default now"),
    ],
)
def test_what_every_reader_can_live_with_is_compatible(event: type[Event], what: str, problem: str) -> None:
    assert only(event) == Change("order.placed", 1, what, problem, "compatible")


@pytest.mark.parametrize(
    ("event", "what", "problem"),
    [
        (declared(note=None), "note", "was removed or renamed"),
        (declared(gift=bool), "gift", "was added without a default"),
        (declared(total=int), "total", "was decimal(12,2) and is int"),
        (declared(total=Money | None), "total", "may be null now"),
        (declared(note=str), "note", "has a default no more"),
        (declared(channel=Literal["web", "shop", "phone"]), "channel", "may be phone now"),
        (declared(channel=Literal["web"]), "channel", "may be shop no more"),
        (declared(lines=list[str]), "lines[]", "was object and is string"),
        (declared(key="total"), "key", "was order_id and is total"),
        (declared(topic="sales"), "topic", "is sales, and version 1 is in orders"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_some_reader_cannot_live_with_is_incompatible(event: type[Event], what: str, problem: str) -> None:
    change = only(event)
    assert (change.what, change.verdict) == (what, "incompatible")
    assert change.problem.startswith(problem)
    assert "Declare version=2" in change.remedy or "another name" in change.remedy


def test_the_fields_of_nested_models_are_looked_at() -> None:
    found = {(change.what, change.verdict) for change in changes(declared(lines=list[OtherLine]))}
    assert found == {("lines[].article", "incompatible"), ("lines[].sku", "incompatible")}


def test_a_new_version_is_new_and_the_one_before_stays() -> None:
    event = declared(version=2, gift=bool)
    assert only(event).verdict == "new"
    assert sorted(LOCK.with_declared(shop(event)).entries["order.placed"]) == [1, 2]


def test_a_version_below_the_locked_one_is_refused() -> None:
    newer = LOCK.with_declared(shop(declared(version=2)))
    (change,) = newer.changes(shop(declared()))
    assert (change.problem, change.verdict) == ("is below 2, which is locked", "incompatible")


def test_another_topic_is_no_matter_of_versions() -> None:
    change = only(declared(version=2, topic="sales"))
    assert (change.what, change.verdict) == ("topic", "incompatible")


def test_what_is_declared_no_more_stays_locked() -> None:
    nothing = System("shop", [Service("orders")])
    assert [(change.message, change.verdict) for change in LOCK.changes(nothing)] == [("order.placed", "gone")]
    assert LOCK.with_declared(nothing) == LOCK


def test_the_file_says_the_same_again_and_a_field_is_a_line(tmp_path: Path) -> None:
    LOCK.write(tmp_path)
    assert EventLock.read(tmp_path) == LOCK
    lines = (tmp_path / "events.lock").read_text().splitlines()
    assert '      "note": {"type": "string", "optional": true},' in lines
    assert [line.split('"')[1] for line in lines[3:-3]] == ["channel", "lines", "note", "order_id", "total"]


def test_without_a_file_there_is_no_lock(tmp_path: Path) -> None:
    assert EventLock.read(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"order.placed": {"one": {}}}', '{"order.placed": {"1": {"topic": "x"}}}']
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "events.lock").write_text(text)
    with pytest.raises(ConfigurationError, match=r"events\.lock: is not what `freehold events lock` writes .* version"):
        EventLock.read(tmp_path)


# --- rules ------------------------------------------------------------------------------------------------------------


def check(system: System, *, lock: EventLock | None) -> list[Violation]:
    return violations(RULES, Survey(system, lock=lock))


def codes(event: type[Event], lock: EventLock | None = LOCK) -> list[str]:
    return [violation.code for violation in check(shop(event), lock=lock)]


def test_what_is_locked_has_no_finding_and_without_a_lock_nothing_is_asked() -> None:
    assert codes(declared()) == []
    assert codes(declared(version=7, total=int), None) == []


def test_an_incompatible_change_is_an_error() -> None:
    (found,) = check(shop(declared(total=int)), lock=LOCK)
    assert (found.code, found.severity) == ("FH033", "error")
    assert str(found).endswith(
        "order.placed version 1: total was decimal(12,2) and is int. Declare version=2, and what 1 means by upcast(1)"
    )


def test_what_the_lock_does_not_know_is_a_warning() -> None:
    (found,) = check(shop(declared()), lock=EventLock({}))
    assert (found.code, found.severity) == ("FH034", "warning")
    assert codes(declared(gift=(bool, False))) == ["FH034"]


def test_a_version_that_nobody_could_read_is_an_error() -> None:
    new = declared(version=2, gift=bool)
    lock = LOCK.with_declared(shop(new))
    assert codes(new, lock) == ["FH035"]
    new.upcast(1)(lambda data: {**data, "gift": False})
    assert codes(new, lock) == []


def test_a_gap_in_the_chain_is_an_error() -> None:
    new = declared(version=3)
    lock = LOCK.with_declared(shop(declared(version=2))).with_declared(shop(new))
    new.upcast(1)(lambda data: data)
    (found,) = check(shop(new), lock=lock)
    assert (found.code, found.message) == ("FH035", "is of version 3, and what version 2 says cannot be read")


def test_an_upcaster_of_what_nobody_sent_is_a_warning() -> None:
    new = declared(version=3)
    lock = EventLock({}).with_declared(shop(declared(version=2))).with_declared(shop(new))
    new.upcast(2)(lambda data: data)
    assert codes(new, lock) == []
    new.upcast(1)(lambda data: data)
    assert codes(new, lock) == ["FH036"]


# --- reading ----------------------------------------------------------------------------------------------------------


class Counted(Event, name="counted", topic="counts", key="thing", version=3):
    thing: str
    amount: Money
    unit: str


@Counted.upcast(1)
def with_amount(data: dict[str, Any]) -> dict[str, Any]:
    return {"thing": data["thing"], "amount": f"{data['number']}.00"}


@Counted.upcast(2)
def with_unit(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "unit": "piece"}


def envelope(version: int, payload: str) -> Envelope:
    return Envelope(uuid7(), "counted", version, "shop", "counts", "a", datetime.now(UTC), payload)


@pytest.mark.parametrize(
    ("version", "payload"),
    [
        (1, '{"thing": "a", "number": 2}'),
        (2, '{"thing": "a", "amount": "2.00"}'),
        (3, '{"thing": "a", "amount": "2.00", "unit": "piece"}'),
        (3, '{"thing": "a", "amount": "2.00", "unit": "piece", "added": "by a later publisher"}'),
    ],
)
def test_every_version_is_read_as_the_newest(version: int, payload: str) -> None:
    assert Counted.read(envelope(version, payload)) == Counted(thing="a", amount="2.00", unit="piece")  # type: ignore[arg-type]


def test_a_newer_version_is_not_guessed_at() -> None:
    fits = '{"thing": "a", "amount": "2.00", "unit": "piece"}'
    with pytest.raises(NewerVersion, match="counted is of version 4, and this process knows 3 at most"):
        Counted.read(envelope(4, fits))


def test_a_version_without_an_upcaster_is_not_guessed_at() -> None:
    with pytest.raises(NoUpcaster, match=r"counted is of version 0, .* add upcast\(0\)"):
        Counted.read(envelope(0, '{"thing": "a", "amount": "2.00", "unit": "piece"}'))


@pytest.mark.parametrize("version", [0, 3, 4])
def test_only_former_versions_have_an_upcaster(version: int) -> None:
    with pytest.raises(DeclarationError, match=rf"upcast\({version}\) is not of a version before 3"):
        Counted.upcast(version)


def test_a_version_has_one_upcaster() -> None:
    with pytest.raises(DeclarationError, match="has two upcasters of version 1"):
        Counted.upcast(1)


def test_no_field_hides_it() -> None:
    with pytest.warns(UserWarning, match="shadows"), pytest.raises(DeclarationError, match="has a field 'upcast'"):

        class Bad(Event, name="bad", topic="bad", key="upcast"):
            upcast: str
