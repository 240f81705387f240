"""The specification's load profile, for `freehold load-test booking_rush SHAPE`.

The numbers of visitors and seconds are the specification's; `scale` and `stretch` make them bearable for one machine
that runs the client, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from freehold import LoadMark, LoadPhase, LoadReport, LoadShape, LoadShapes, LoadStage, Work
from systems.booking_rush import load_books
from systems.booking_rush.load_marks import (
    HERD_SEATS,
    LAST_SEAT_CROWD,
    QUEUE_UP,
    exactly,
    judge_dirty,
    judge_herd,
    judge_queue,
    judge_rate_limit,
    judge_sold_out,
    judge_spike,
    usual,
)
from systems.booking_rush.load_visitors import Sale

VISITORS = "systems.booking_rush.load_visitors"
MOST_TICKETS = 10
NO_CROWD = {"booking": {"queue_auto_buyers": 1_000_000}}
"""Otherwise more than a thousand buyers of an event would have to queue."""
SLOW_BANK = NO_CROWD | {"payment": {"retry_waits_seconds": [0.1, 0.1, 0.1]}}
QUEUE = {"booking": {"require_queue_pass": True}}


# --- before and after -------------------------------------------------------------------------------------------------


async def prepare(works: Mapping[str, Work], seats: int) -> Sale:
    """Three new events with three shows of five zones each, and one with a single seat."""
    zones = await load_books.put_up(works, seats, name="Load Test", events=3, shows=3, zones=5)
    (last,) = await load_books.put_up(works, 1, name="Last Seat", events=1, shows=1, zones=1)
    return {"zones": zones, "last": last}


async def count(books: Any, sale: Sale) -> Mapping[str, int]:
    """Seats and bookings as booking's database has them now."""
    return await load_books.count(books, [*sale["zones"], sale["last"]])


async def reconcile(books: Any, sale: Sale, load: LoadReport) -> Sequence[LoadMark]:
    """Every database against every other."""
    zones = [*sale["zones"], sale["last"]]
    unheard = load.notes.get("unheard", 0) + load.notes.get("no answer after a lost connection", 0)
    unheard += sum(load.count(step) for step in load.outcomes if step.endswith("/unfinished"))
    missing, summary = await load_books.reconcile(
        books, zones, granted=load.notes.get("granted", 0), unheard=unheard, most=MOST_TICKETS
    )
    return [
        exactly("oversold 0", (await load_books.count(books, zones))["oversold"], 0),
        LoadMark("the books agree", "; ".join(missing) or summary, not missing),
    ]


# --- the shapes -------------------------------------------------------------------------------------------------------


def _steady(name: str, title: str, rate: float, scale: float) -> LoadShape:
    phase = LoadPhase(name, f"{VISITORS}:buy", [LoadStage(300, rate=rate)])
    return LoadShape(title, [phase], usual(f"{name}/reserve"), scale=scale, stretch=0.1, settings=NO_CROWD)


SMOKE = LoadPhase("smoke", f"{VISITORS}:buy", [LoadStage(30, users=1)])
RAMP = LoadPhase(
    "ramp",
    f"{VISITORS}:buy",
    [
        LoadStage(60, to=100),
        LoadStage(120, users=100, to=500),
        LoadStage(120, users=500, to=1000),
        LoadStage(120, users=1000, to=500),
        LoadStage(120, users=500, to=0),
    ],
)
SPIKE = LoadPhase(
    "spike",
    f"{VISITORS}:buy",
    [
        LoadStage(30, users=1000),
        LoadStage(10, users=1000, to=10_000),
        LoadStage(60, users=10_000),
        LoadStage(10, users=10_000, to=1000),
        LoadStage(60, users=1000),
    ],
)
SPIKE_20K = LoadPhase(
    "spike",
    f"{VISITORS}:buy",
    [
        LoadStage(30, rate=1000),
        LoadStage(15, rate=1000, to=5000),
        LoadStage(15, rate=5000, to=10_000),
        LoadStage(15, rate=10_000, to=20_000),
        LoadStage(30, rate=20_000),
    ],
)
DIRTY = [
    LoadPhase("hang up", f"{VISITORS}:hang_up", at_once=10),
    LoadPhase("same key", f"{VISITORS}:say_it_again", at_once=5),
    LoadPhase("last seat", f"{VISITORS}:buy_the_last", at_once=LAST_SEAT_CROWD),
    LoadPhase("slow bank", f"{VISITORS}:pay_slowly", at_once=5),
    LoadPhase("degradation", f"{VISITORS}:buy", [LoadStage(10, users=50), LoadStage(10, users=50, to=100)]),
    LoadPhase("network", f"{VISITORS}:lose_patience", at_once=5),
]

SHAPES = LoadShapes(
    prepare=prepare,
    people=load_books.people,
    count=count,
    reconcile=reconcile,
    shapes={
        "smoke": LoadShape("One user for 30 s", [SMOKE], usual("smoke/reserve"), stretch=0.33, settings=NO_CROWD),
        "ramp": LoadShape(
            "0 to 1,000 users and back in 9 minutes",
            [RAMP],
            usual("ramp/reserve"),
            scale=0.1,
            stretch=0.06,
            settings=NO_CROWD,
        ),
        "sustained": _steady("sustained", "5,000 a second for 5 minutes", 5000, 0.1),
        "stress": _steady("stress", "10,000 a second for 5 minutes", 10_000, 0.1),
        "spike": LoadShape(
            "1,000 users, suddenly 10,000, and back",
            [SPIKE],
            judge_spike,
            scale=0.02,
            stretch=0.2,
            settings=NO_CROWD,
        ),
        "spike_20k": LoadShape(
            "1,000 to 20,000 a second within a minute",
            [SPIKE_20K],
            judge_spike,
            scale=0.05,
            stretch=0.3,
            settings=NO_CROWD,
        ),
        "herd": LoadShape(
            "100 users at once for 10 seats",
            [LoadPhase("herd", f"{VISITORS}:buy_one", at_once=100)],
            judge_herd,
            seats=HERD_SEATS,
            settings=NO_CROWD,
        ),
        "sold-out": LoadShape(
            "2,000 a second for 30 s want seats of an empty zone",
            [
                LoadPhase("fill", f"{VISITORS}:empty", at_once=1),
                LoadPhase("empty", f"{VISITORS}:buy_one", [LoadStage(30, rate=2000)]),
            ],
            judge_sold_out,
            seats=MOST_TICKETS,
            scale=0.25,
            stretch=0.33,
            settings=NO_CROWD,
        ),
        "rate-limit": LoadShape(
            "5,000 a second for 30 s from one address, which may ask 100 times",
            [LoadPhase("flood", f"{VISITORS}:buy", [LoadStage(30, rate=5000)])],
            judge_rate_limit,
            scale=0.1,
            stretch=0.33,
            rate_limits=True,
            settings=NO_CROWD,
        ),
        "dirty": LoadShape(
            "Visitors who hang up, ask again, lose patience, and whose banks do not answer",
            DIRTY,
            judge_dirty,
            settings=SLOW_BANK,
        ),
        "queue": LoadShape(
            "100 users join the queue, wait for their pass, and reserve",
            [LoadPhase("queue", f"{VISITORS}:queue_up", at_once=QUEUE_UP)],
            judge_queue,
            settings=QUEUE,
        ),
    },
)
