from __future__ import annotations

import re
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from freehold.inspect import describe
from freehold.inspect.diagrams import KINDS, Picture, pictures, to_svg
from freehold.inspect.diagrams.layout import Edge, Node, layout
from freehold.inspect.diagrams.sagas import transitions
from systems.booking_rush.system import system as booking_rush
from tests.unit.inspect.fourteen import fourteen

BOOKING_RUSH = describe(booking_rush)
FOURTEEN = describe(fourteen())
EVERY = [picture for said in (BOOKING_RUSH, FOURTEEN) for kind in KINDS for picture in pictures(said, kind)]
TEXT = r'"[^"\n]+"'
GRAMMAR = {
    "erDiagram": (
        rf"\w+\[{TEXT}\] {{|}}",
        rf"    [a-z]\w* \w+( (PK|FK)(, FK)?)?( {TEXT})?",
        r'\w+ (\|\||\|o)(--|\.\.)o{ \w+ : "\w+"',
    ),
    "flowchart LR": (
        rf"\w+(\[{TEXT}\]|\(\[{TEXT}\]\))",
        r"\w+ (-->|-\.->) \w+",
        rf"\w+ -->\|{TEXT}\| \w+",
    ),
    "stateDiagram-v2": (rf"state {TEXT} as \w+", r"(\[\*\]|\w+) --> (\[\*\]|\w+)( : [^:;\n]+)?"),
}
"""What of Mermaid's grammar is used: all of it was read by Mermaid's own parser once."""


def one(kind: str, service: str | None = None, said: dict[str, Any] = BOOKING_RUSH) -> Picture:
    return next(pictures(said, kind, service))


@pytest.mark.parametrize("picture", EVERY, ids=lambda picture: picture.name)
def test_mermaid_is_written_in_its_grammar(picture: Picture) -> None:
    kind, *lines = picture.mermaid.splitlines()

    wrong = [line for line in lines if not any(re.fullmatch(f"    ({form})", line) for form in GRAMMAR[kind])]

    assert wrong == []


@pytest.mark.parametrize("picture", EVERY, ids=lambda picture: picture.name)
def test_an_svg_is_well_formed_and_needs_nothing_from_elsewhere(picture: Picture) -> None:
    text = to_svg(picture.drawing)

    root = ElementTree.fromstring(text)

    assert root.get("aria-label") == picture.drawing.title
    assert set(re.findall(r"https?://[^\"')\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|image|use|foreignObject)|@import|url\(", text)


def test_foreign_keys_are_solid_and_soft_references_dashed() -> None:
    links = {(link.source_row, link.target_row): link.mark for link in one("er").drawing.links}

    assert links["shows.event_id", "table events"] == "solid"
    assert links["bookings.event_id", "table events"] == "dashed"
    assert "ticket__events ||--o{ ticket__shows" in one("er").mermaid
    assert "ticket__events ||..o{ booking__bookings" in one("er").mermaid
    assert [text for _, text in one("er").drawing.legend] == [
        "foreign key, within a service",
        "soft reference, kept by no database",
    ]


def test_a_services_diagram_has_every_column_and_what_lies_elsewhere() -> None:
    drawing = one("er", "booking").drawing

    own = {box.title: [row.text for row in box.rows] for box in drawing.boxes if box.shape == "box"}
    elsewhere = {box.title for box in drawing.boxes if box.shape == "elsewhere"}

    tables = BOOKING_RUSH["services"]["booking"]["tables"]
    assert own == {name: list(table["columns"]) for name, table in tables.items()}
    assert elsewhere == {
        "auth.tenants", "auth.users", "ticket.events", "ticket.shows", "ticket.seat_zones", "payment.payments"
    }  # fmt: skip


def test_events_lead_from_who_publishes_them_to_who_takes_them() -> None:
    links = {(link.source, link.source_row, link.target, link.mark) for link in one("events").drawing.links}

    assert ("booking says", "booking.reserved", "notification takes", "solid") in links
    assert ("booking says", "payment.charge", "payment takes", "dashed") in links
    notes = {row.text: row.note for box in one("events").drawing.boxes for row in box.rows}
    assert notes["payment.initiated"] == "taken by nobody"
    expected = {
        (service, event, other)
        for service, said in BOOKING_RUSH["services"].items()
        for event in said["publishes"]
        for other, its in BOOKING_RUSH["services"].items()
        if event in its["consumes"]
    }
    assert {(s.split()[0], e, t.split()[0]) for s, e, t, mark in links if mark == "solid"} == expected


def test_calls_lead_to_the_query_that_is_asked() -> None:
    links = {(link.source, link.target, link.target_row) for link in one("calls").drawing.links}

    assert ("payment", "booking", "GetBooking") in links
    assert {f"{target}.{query}" for source, target, query in links if source == "payment"} == set(
        BOOKING_RUSH["services"]["payment"]["asks"]
    )


def test_a_service_narrows_a_diagram_to_what_concerns_it() -> None:
    for link in one("calls", "payment").drawing.links:
        assert "payment" in (link.source, link.target)
    assert [picture.name for picture in pictures(BOOKING_RUSH, "er", "auth")] == ["er-auth"]
    assert list(pictures(BOOKING_RUSH, "sagas", "auth")) == []


def test_a_saga_turns_back_to_the_undo_of_what_was_done() -> None:
    saga = next(each for each in BOOKING_RUSH["sagas"] if each["name"] == "booking_saga")

    found = {(each.source, each.target): each.why for each in transitions(saga)}

    assert found["do 0", "do 1"] == "done"
    assert found["do 1", "do 2"] == "payment.completed"
    assert found["do 1", "undo 0"] == "payment.failed"
    assert found["do 1", "undo 1"] == "no answer in 30 s", "what may have had an effect is undone itself"
    assert found["do 2", "undo 1"] == "fails"
    assert found["undo 1", "undo 0"] == "payment.returned"
    assert found["undo 1", "needs_attention"] == "no payment.returned"
    assert found["undo 0", "compensated"] == "undone"
    assert found["do 0", "compensated"] == "fails"


def test_a_step_that_may_fail_is_skipped() -> None:
    saga = next(each for each in BOOKING_RUSH["sagas"] if each["name"] == "booking_saga")

    found = [(each.target, each.why, each.back) for each in transitions(saga) if each.source == "do 3"]

    assert found == [
        ("completed", "notification.confirmation_taken", False),
        ("completed", "skipped: no answer in 30 s", False),
    ]


# --- the layout -------------------------------------------------------------------------------------------------------


def crowd(count: int) -> tuple[list[Node], list[Edge]]:
    """Nodes of different sizes with links in circles, over several ranks, and to themselves."""
    nodes = [Node(f"n{index}", 60 + 7 * (index % 5), 30 + 11 * (index % 7)) for index in range(count)]
    pairs = [(index, (index * index + step) % count) for index in range(count) for step in (1, 4)]
    return nodes, [Edge(f"n{one}", f"n{other}", 10, 20) for one, other in pairs]


def rectangle(node: Node, corner: tuple[float, float]) -> tuple[float, float, float, float]:
    return corner[0], corner[1], corner[0] + node.depth, corner[1] + node.breadth


@pytest.mark.parametrize("count", [1, 2, 9, 40])
def test_nodes_lie_apart_and_inside(count: int) -> None:
    nodes, edges = crowd(count)

    placed = layout(nodes, edges, gap=(40, 80), shape=1.5)

    areas = [rectangle(node, placed.nodes[node.name]) for node in nodes]
    for a, b in combinations(areas, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert all(
        area[0] >= 0 and area[1] >= 0 and area[2] <= placed.size[0] and area[3] <= placed.size[1] for area in areas
    )


def test_edges_begin_and_end_at_their_nodes_and_cross_no_other() -> None:
    nodes, edges = crowd(30)

    placed = layout(nodes, edges, gap=(40, 80), shape=1.5)

    areas = {node.name: rectangle(node, placed.nodes[node.name]) for node in nodes}
    for edge, path in zip(edges, placed.paths, strict=True):
        source, target = areas[edge.source], areas[edge.target]
        assert path[0][0] in (source[0], source[2])
        assert path[0][1] == pytest.approx(source[1] + edge.leaves)
        assert path[-1][0] in (target[0], target[2])
        assert path[-1][1] == pytest.approx(target[1] + edge.enters)
        if edge.source == edge.target:
            continue
        # It bends only between two ranks, where no node is: what lies along a rank must be free.
        for (x1, y1), (x2, y2) in pairwise(path):
            if abs(y1 - y2) < 1e-6:
                left, right = min(x1, x2), max(x1, x2)
                hit = [n for n, a in areas.items() if a[0] < right and left < a[2] and a[1] < y1 < a[3]]
                assert set(hit) <= {edge.source, edge.target}


def test_nothing_to_draw_is_drawn() -> None:
    assert layout([], [], gap=(40, 80), shape=1.5).size == (0.0, 0.0)
