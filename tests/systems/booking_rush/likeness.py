"""Whether two runs are alike: equal once everything that was made by chance is renamed.

Ids, tokens and codes get the name of their first appearance: in the answers, which come in one order, and after that in
the rows, which have none. There, rows are told apart by what they say and by what the rows say that share an id with
them, until nothing more is learnt.

A booking of all in one is led by its saga and by what any booking leads to: the payment begins for the reservation or
for the saga's order, one of two sagas confirms. Whichever comes first is the cause of what follows, which is chance, too.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

from tests.systems.booking_rush.recording import Recording, Row

CHANCE = re.compile(
    r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|(?P<jwt>eyJ[\w-]+\.[\w-]+\.[\w-]+)"
    r"|(?P<hash>\$argon2[^\s\"]+)"
    r"|(?P<code>BK-[A-Z0-9]{8})"
    r"|(?P<token>(?<![\w-])(?:[0-9a-f]{24,}|[\w-]{40,})(?![\w-]))"
)
"""What nobody chose. A text that matches and is no accident is renamed too, which hides nothing: its name is its own."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
SHOWN = 6
TRAIL = ("causationid", "correlationid", "tenantid")


class Names:
    """Names by first appearance."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def __contains__(self, found: str) -> bool:
        return found in self._names

    def name(self, match: re.Match[str]) -> str:
        found, kind = match[0], str(match.lastgroup)
        if found not in self._names:
            self._counts[kind] += 1
            self._names[found] = f"<{kind} {self._counts[kind]}>"
        return self._names[found]

    def known(self, match: re.Match[str]) -> str:
        """Its name, or what kind of thing it is."""
        return self._names.get(match[0], f"<{match.lastgroup} ?>")


@dataclass(frozen=True)
class Likeness:
    """A run with its chance taken out.

    Args:
        answers: JSON texts, in order.
        rows: JSON texts by table, in which only what an answer showed has a name.
        named: the same with all names, in an order of their own.
    """

    answers: Sequence[str]
    rows: Mapping[str, Sequence[str]]
    named: Mapping[str, Sequence[str]]


def likeness(run: Recording, *, times: bool = True) -> Likeness:
    """What is to be equal; without `times`, all but when it was."""

    def text(value: Any, *, sort: bool) -> str:
        whole = json.dumps(value, sort_keys=sort, ensure_ascii=False)
        return whole if times else MOMENT.sub("<a time>", whole)

    names = Names()
    answers = [CHANCE.sub(names.name, text(asdict(answer), sort=False)) for answer in run.answers]
    chance = _all_in_one(run)
    told = {
        table: [_without_trail(row) if row.get("headers") and row.get("event_id") in chance else row for row in rows]
        for table, rows in sorted(run.rows.items())
    }
    texts = {table: [text(row, sort=True) for row in rows] for table, rows in told.items()}
    rows = {table: sorted(CHANCE.sub(names.known, row) for row in each) for table, each in texts.items()}
    return Likeness(answers, rows, _named(texts, names))


def _all_in_one(run: Recording) -> set[str]:
    """The events of bookings that were made all in one, and all that these caused."""
    sagas = run.rows.get("booking.saga_instances", ())
    keys = {row["saga_key"] for row in sagas if row["saga"] == "booking_saga"}
    events = [row for table, rows in run.rows.items() if table.endswith(".outbox_events") for row in rows]
    found, caused = set[str](), {event["event_id"] for event in events if event["partition_key"] in keys}
    while caused:
        found |= caused
        caused = {e["event_id"] for e in events if f"uuid {e['headers'].get('causationid')}" in caused} - found
    return found


def _without_trail(event: Row) -> Row:
    return {**event, "headers": {name: value for name, value in event["headers"].items() if name not in TRAIL}}


def _named(texts: Mapping[str, Sequence[str]], names: Names) -> dict[str, list[str]]:
    signs = _signs(texts, names)
    groups: dict[str, dict[tuple[str, str], list[str]]] = {table: defaultdict(list) for table in texts}
    for table, row in signs:
        groups[table][CHANCE.sub(names.known, row), signs[table, row]].append(row)
    named: dict[str, list[str]] = {}
    for table, alike in groups.items():
        named[table] = []
        for group in sorted(alike):
            left = alike[group]
            while left:  # a name that one row gives may decide which comes next
                first = min(left, key=lambda row: CHANCE.sub(names.known, row))
                left.remove(first)
                named[table].append(CHANCE.sub(names.name, first))
        named[table].sort()
    return named


def _signs(texts: Mapping[str, Sequence[str]], names: Names) -> dict[tuple[str, str], str]:
    """What tells a row from others: its own text, and, round by round, all that its unnamed ids are part of."""
    rows = [(table, row) for table, each in texts.items() for row in each]
    unnamed = {row: [m for m in CHANCE.finditer(row[1]) if m[0] not in names] for row in rows}
    colours: dict[str, str] = {m[0]: str(m.lastgroup) for found in unnamed.values() for m in found}
    kinds = 0
    while True:
        shown = partial(_shown, colours, names)
        signs = {row: _digest(row[0], CHANCE.sub(shown, row[1])) for row in rows}
        if len(set(colours.values())) == kinds:
            return signs
        kinds = len(set(colours.values()))
        places: dict[str, list[str]] = defaultdict(list)
        for row, found in unnamed.items():
            for position, match in enumerate(found):
                places[match[0]].append(f"{signs[row]} {position}")
        colours = {id: _digest(colours[id], *sorted(where)) for id, where in places.items()}


def _shown(colours: Mapping[str, str], names: Names, match: re.Match[str]) -> str:
    return colours.get(match[0]) or names.known(match)


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


# --- differences ------------------------------------------------------------------------------------------------------


def differences(one: Likeness, other: Likeness) -> list[str]:
    """What is not equal, the first of it first, each with its place; empty when the runs are alike."""
    found = list(_answers(one.answers, other.answers))
    found += list(_tables(one.rows, other.rows))
    return found or list(_tables(one.named, other.named))


def _answers(one: Sequence[str], other: Sequence[str]) -> Iterable[str]:
    for number, (a, b) in enumerate(zip(one, other, strict=False), 1):
        if a != b:
            yield f"answer {number}, {json.loads(a)['request']}: {_first(json.loads(a), json.loads(b))}"
            return  # what follows differs with it
    if len(one) != len(other):
        yield f"{len(one)} answers, and {len(other)}"


def _tables(one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]) -> Iterable[str]:
    for table in sorted({*one, *other}):
        a, b = Counter(one.get(table, ())), Counter(other.get(table, ()))
        mine, theirs = sorted((a - b).elements()), sorted((b - a).elements())
        if len(mine) != len(theirs):
            yield f"{table}: {a.total()} rows, and {b.total()}"
        for row in mine[:SHOWN]:
            match = min(theirs, key=lambda candidate: _distance(row, candidate), default=None)
            if match is None:
                yield f"{table}: only the first run has {row}"
            else:
                theirs.remove(match)
                yield f"{table}: {_first(json.loads(row), json.loads(match))} in {row}"
        if len(theirs) > len(mine):
            yield from (f"{table}: only the second run has {row}" for row in theirs[:SHOWN])


def _distance(one: str, other: str) -> int:
    a: Row = json.loads(one)
    b: Row = json.loads(other)
    return sum(a.get(column) != b.get(column) for column in {*a, *b})


def _first(one: Any, other: Any, path: str = "") -> str:
    """The first place in which two documents differ; also when only the order of their members does."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return f"at {path or 'its top'} the members {', '.join(one)}, and {', '.join(other)}"
        key = next(key for key in one if json.dumps(one[key]) != json.dumps(other[key]))
        return _first(one[key], other[key], f"{path}.{key}".lstrip("."))
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return f"at {path} {len(one)} items, and {len(other)}"
        at = next(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if json.dumps(a) != json.dumps(b))
        return _first(one[at], other[at], f"{path}[{at}]")
    return f"at {path} {one!r}, and {other!r}"
