"""What the data sets consist of: people, a catalogue, and sixty days of bookings, the same ones every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid5

Row = dict[str, Any]

DEFAULT_TENANT = UUID("00000000-0000-0000-0000-000000000001")
NAMES = UUID("5b1d8f2e-0b1f-5d43-9d8c-6f1f6b1c2a77")  # of everything that the specification gives no id
BANGKOK = timezone(timedelta(hours=7))
EVENING = time(19, 30, tzinfo=BANGKOK)
CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"

ZONES = (("VIP", 5000), ("Gold", 3000), ("Silver", 2000), ("Bronze", 1000), ("Standing", 500))
CATEGORIES = ("Concerts", "Theatre", "Sports", "Comedy", "Festivals", "Exhibitions")
CITIES = (("Impact Arena", "Bangkok"), ("Royal Park", "Chiang Mai"), ("Sunset Beach", "Phuket"))
ARTISTS = ("Paper Moons", "The Night Ferry", "Siam Strings", "Velvet Monsoon", "Red Lantern", "Golden Hour")
KINDS = ("Live", "World Tour", "Unplugged", "Final Night", "Reunion")


def demo_id(kind: str, number: object) -> UUID:
    """The id of a demo row, the same on every machine."""
    return uuid5(NAMES, f"{kind}/{number}")


@dataclass(slots=True)
class DataSet:
    """Rows by table, ready to be inserted."""

    tenants: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    categories: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    shows: list[Row] = field(default_factory=list)
    zones: list[Row] = field(default_factory=list)
    bookings: list[Row] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)

    def counts(self) -> Iterator[Row]:
        """Booking's own count of each zone: `taken` are the seats of its open bookings."""
        shows = {show["id"]: show for show in self.shows}
        tenants = {event["id"]: event["tenant_id"] for event in self.events}
        for zone in self.zones:
            event_id = shows[zone["show_id"]]["event_id"]
            yield {
                "zone_id": zone["id"],
                "show_id": zone["show_id"],
                "event_id": event_id,
                "tenant_id": tenants[event_id],
                "name": zone["name"],
                "total_seats": zone["total_seats"],
                "taken": zone["reserved_seats"] + zone["sold_seats"],
                "closed": False,
                "revision": 1,
                "checked_revision": 0,
                "capacity_at": None,
            }

    def sales(self) -> Iterator[Row]:
        """The bookings as notification reports them, since nobody is told of bookings that come with their history."""
        refunds = {payment["booking_id"]: payment["refund_amount"] for payment in self.payments}
        copied = (
            "tenant_id", "event_id", "event_name", "show_id", "show_date", "zone_id", "zone_name", "quantity",
            "total_amount", "currency", "status", "reserved_at", "confirmed_at",
        )  # fmt: skip
        for booking in self.bookings:
            yield {name: booking[name] for name in copied} | {
                "booking_id": booking["id"],
                "refund_amount": refunds[booking["id"]],
                "ended_at": None if booking["status"] == "confirmed" else booking["updated_at"],
                "version_at": booking["updated_at"],
            }


# --- people -----------------------------------------------------------------------------------------------------------


def tenant(id: UUID, name: str, slug: str, now: datetime) -> Row:
    return {"id": id, "name": name, "slug": slug, "settings": {}, "is_active": True, **_stamps(now)}


def person(
    id: UUID, email: str, name: str, role: str, *, password_hash: str, now: datetime, tenant_id: UUID = DEFAULT_TENANT
) -> Row:
    return {
        "id": id, "tenant_id": tenant_id, "email": email, "password_hash": password_hash, "name": name, "role": role,
        "email_verified": True, "is_active": True, "details": {}, **_stamps(now),
    }  # fmt: skip


def demo_people(password_hash: str, now: datetime) -> tuple[list[Row], list[Row]]:
    """Two tenants; an admin, an organizer, a customer, 200 more customers, and two people abroad."""
    abroad = demo_id("tenant", "riverside")
    tenants = [
        tenant(DEFAULT_TENANT, "Booking Rush", "default", now),
        tenant(abroad, "Riverside Promotions", "riverside", now),
    ]
    known = [
        ("admin@admin.com", "Ada Admin", "super_admin", DEFAULT_TENANT),
        ("organizer@test.com", "Olga Organizer", "organizer", DEFAULT_TENANT),
        ("customer@test.com", "Carl Customer", "customer", DEFAULT_TENANT),
        ("organizer@riverside.test", "Rita River", "organizer", abroad),
        ("customer@riverside.test", "Rob River", "customer", abroad),
    ]
    known += [(f"customer{n}@test.com", f"Customer {n}", "customer", DEFAULT_TENANT) for n in range(1, 201)]
    users = [
        person(demo_id("user", email), email, name, role, password_hash=password_hash, now=now, tenant_id=tenant_id)
        for email, name, role, tenant_id in known
    ]
    return tenants, users


# --- the catalogue ----------------------------------------------------------------------------------------------------


def category(number: int, name: str, now: datetime) -> Row:
    return {
        "id": demo_id("category", number), "tenant_id": DEFAULT_TENANT, "name": name, "slug": name.lower(),
        "sort_order": number, "is_active": True, **_stamps(now),
    }  # fmt: skip


def event(id: UUID, name: str, slug: str, now: datetime, organizer_id: UUID, **more: Any) -> Row:
    return {
        "id": id, "tenant_id": DEFAULT_TENANT, "organizer_id": organizer_id, "name": name, "slug": slug,
        "gallery": [], "max_tickets_per_user": 10, "status": "published", "is_featured": False, "is_public": True,
        "settings": {}, "published_at": now, **_stamps(now), **more,
    }  # fmt: skip


def show(id: UUID, event_id: UUID, day: datetime, status: str, now: datetime, **more: Any) -> Row:
    return {
        "id": id, "event_id": event_id, "name": f"{day:%A}", "show_date": day.date(), "start_time": EVENING,
        "status": status, "total_capacity": 0, "reserved_count": 0, "sold_count": 0, "settings": {}, **_stamps(now),
        **more,
    }  # fmt: skip


def zone(id: UUID, its_show: Row, number: int, seats: int, now: datetime) -> Row:
    """A zone; the show's capacity grows with it."""
    name, price = ZONES[number % len(ZONES)]
    its_show["total_capacity"] += seats
    return {
        "id": id, "show_id": its_show["id"], "name": name, "price": Decimal(price).quantize(Decimal("0.01")),
        "currency": "THB", "total_seats": seats, "available_seats": seats, "reserved_seats": 0, "sold_seats": 0,
        "min_per_order": 1, "max_per_order": 10, "is_active": True, "sort_order": number, "attributes": {},
        **_stamps(now),
    }  # fmt: skip


def demo_catalogue(now: datetime, random: Random) -> DataSet:
    """Six categories; 30 events, of which 15 are on sale, 8 open soon and 7 are past."""
    made = DataSet(categories=[category(number, name, now) for number, name in enumerate(CATEGORIES, 1)])
    organizer = demo_id("user", "organizer@test.com")
    for number in range(1, 31):
        name = f"{ARTISTS[number % len(ARTISTS)]} {KINDS[number % len(KINDS)]} {number}"
        venue, city = random.choice(CITIES)
        past, soon = number > 23, 15 < number <= 23
        its_event = event(
            demo_id("event", number), name, name.lower().replace(" ", "-"), now, organizer,
            category_id=demo_id("category", number % len(CATEGORIES) + 1), venue_name=venue, city=city,
            country="Thailand", short_description=f"{name} at {venue}", is_featured=number <= 3,
            status="completed" if past else "published",
        )  # fmt: skip
        made.events.append(its_event)
        first = now - timedelta(days=random.randint(5, 28)) if past else now + timedelta(days=random.randint(30, 120))
        for evening in range(random.randint(1, 3)):
            its_show = show(
                demo_id("show", f"{number}.{evening}"),
                its_event["id"],
                (first + timedelta(days=evening)).astimezone(BANGKOK),
                "completed" if past else "scheduled" if soon else "on_sale",
                now,
                sale_start_at=now + timedelta(days=random.randint(2, 10)) if soon else now - timedelta(days=61),
            )
            made.shows.append(its_show)
            for block in range(random.randint(3, 5)):
                id, seats = demo_id("zone", f"{number}.{evening}.{block}"), random.randrange(50, 2001, 10)
                made.zones.append(zone(id, its_show, block, seats, now))
    return made


def load_catalogue(seats: int, now: datetime, organizer: UUID) -> DataSet:
    """Three events with three shows of five zones each, all on sale."""
    made = DataSet()
    for e in range(1, 4):
        id = UUID(f"d0000000-0000-0000-0000-{e:012d}")
        made.events.append(event(id, f"Load Test {e}", f"load-test-{e}", now, organizer, venue_name="Load Arena"))
        for s in range(1, 4):
            number = (e - 1) * 3 + s
            its_show = show(
                UUID(f"c0000000-0000-0000-{e:04d}-{s:012d}"), id, now + timedelta(days=30 + s), "on_sale", now
            )
            made.shows.append(its_show)
            for block in range(1, 6):
                zone_id = UUID(f"b0000000-0000-{number:04d}-{block:04d}-000000000000")
                made.zones.append(zone(zone_id, its_show, block - 1, seats, now))
    return made


# --- sixty days of bookings -------------------------------------------------------------------------------------------

HOLD = timedelta(minutes=10)
ENDINGS = ("confirmed", "expired", "cancelled", "refunded")
WEIGHTS = (70, 15, 10, 5)


def add_bookings(made: DataSet, wanted: int, buyers: list[UUID], now: datetime, random: Random) -> None:
    """Bookings with matching payments, within every cap; seats that are sold count in their zone and show."""
    events = {row["id"]: row for row in made.events}
    shows = {row["id"]: row for row in made.shows if row["status"] in ("on_sale", "completed")}
    zones = [row for row in made.zones if row["show_id"] in shows]
    bought: dict[tuple[UUID, UUID], int] = {}
    codes: set[str] = set()
    number = 0
    while number < wanted:
        its_zone, buyer, quantity = random.choice(zones), random.choice(buyers), random.randint(1, 4)
        its_show = shows[its_zone["show_id"]]
        its_event = events[its_show["event_id"]]
        ending = random.choices(ENDINGS, WEIGHTS)[0]
        mine = bought.get((buyer, its_event["id"]), 0)
        if mine + quantity > its_event["max_tickets_per_user"] or quantity > its_zone["available_seats"]:
            continue
        number += 1
        if ending == "confirmed":
            bought[buyer, its_event["id"]] = mine + quantity
            its_zone["available_seats"] -= quantity
            its_zone["sold_seats"] += quantity
            its_show["sold_count"] += quantity
        last = min(now, datetime.combine(its_show["show_date"], EVENING).astimezone(UTC)) - timedelta(days=1)
        first = now - timedelta(days=60)
        at = first + (last - first) * random.random()
        booking = _booking(
            number,
            ending,
            at,
            its_event=its_event,
            its_show=its_show,
            its_zone=its_zone,
            buyer=buyer,
            quantity=quantity,
        )
        if ending in ("confirmed", "refunded"):
            booking["confirmation_code"] = _new_code(codes, random)
        made.bookings.append(booking)
        made.payments.append(_payment(booking, ending, at))


def _booking(
    number: int,
    ending: str,
    at: datetime,
    *,
    its_event: Row,
    its_show: Row,
    its_zone: Row,
    buyer: UUID,
    quantity: int,
) -> Row:
    id, paid = demo_id("booking", number), ending in ("confirmed", "refunded")
    reason = {"expired": "hold expired", "cancelled": "user_cancelled", "refunded": "payment_refunded"}.get(ending)
    left_at = {"cancelled": at + timedelta(minutes=4), "refunded": at + timedelta(hours=20)}.get(ending)
    ended_at = at + HOLD if ending == "expired" else left_at or at + timedelta(minutes=2)
    return {
        "id": id, "tenant_id": its_event["tenant_id"], "user_id": buyer, "event_id": its_event["id"],
        "show_id": its_show["id"], "zone_id": its_zone["id"], "event_name": its_event["name"],
        "show_date": its_show["show_date"], "show_time": its_show["start_time"], "zone_name": its_zone["name"],
        "venue_name": its_event["venue_name"], "quantity": quantity, "unit_price": its_zone["price"],
        "total_amount": its_zone["price"] * quantity, "currency": "THB",
        "status": "cancelled" if ending == "refunded" else ending, "status_reason": reason,
        "idempotency_key": f"{buyer}:demo-{number}", "confirmation_code": None,
        "payment_id": demo_id("payment", number) if paid else None,
        "reserved_at": at, "reservation_expires_at": at + HOLD,
        "confirmed_at": at + timedelta(minutes=2) if paid else None, "cancelled_at": left_at,
        "cancelled_by": buyer if ending == "cancelled" else None, "details": {}, "created_at": at,
        "updated_at": ended_at,
    }  # fmt: skip


def _payment(booking: Row, ending: str, at: datetime) -> Row:
    number = booking["idempotency_key"].rpartition("-")[2]
    paid = ending in ("confirmed", "refunded")
    refunded = ending == "refunded"
    status = {"confirmed": "succeeded", "refunded": "refunded"}.get(ending, "cancelled")
    snapshot = ("event_id", "event_name", "show_id", "show_date", "show_time", "zone_id", "zone_name", "quantity")
    return {
        "id": demo_id("payment", number), "booking_id": booking["id"], "user_id": booking["user_id"],
        "tenant_id": booking["tenant_id"], "amount": booking["total_amount"], "currency": "THB",
        "method": "credit_card", "status": status, "gateway": "simulated" if paid else None,
        "gateway_payment_id": f"sim_{demo_id('payment', number)}" if paid else None, "gateway_charge_id": None,
        "gateway_response": None, "idempotency_key": None, "card_last_four": "4242" if paid else None,
        "card_brand": "visa" if paid else None, "initiated_at": at,
        "processed_at": at + timedelta(minutes=1) if paid else None,
        "completed_at": at + timedelta(minutes=2) if paid else None,
        "refund_amount": booking["total_amount"] if refunded else None,
        "refund_reason": "requested_by_customer" if refunded else None,
        "refunded_at": booking["cancelled_at"] if refunded else None, "error_code": None, "error_message": None,
        "retry_count": 0, "created_at": at, "updated_at": booking["updated_at"],
        "details": {name: str(booking[name]) for name in snapshot}
        | {"unit_price": str(booking["unit_price"]),
           "reservation_expires_at": booking["reservation_expires_at"].isoformat()},
    }  # fmt: skip


def _new_code(codes: set[str], random: Random) -> str:
    while True:
        code = "BK-" + "".join(random.choices(CODE_ALPHABET, k=8))
        if code not in codes:
            codes.add(code)
            return code


def _stamps(now: datetime) -> Row:
    return {"created_at": now, "updated_at": now}


def chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """The rows, so many at a time."""
    chunk: list[Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
