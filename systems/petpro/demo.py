"""The data sets: `freehold load petpro demo`, and `load` and `large`, which have the same ten and a hundred times.

Rows are inserted into each service's own database, and only those that are missing, so that loading again changes
nothing. Copies in other services come about as always: from the events that are published with the rows. What is under
way, like an order that waits for its payment, is begun as a customer would begin it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import insert, inspect, select

from freehold import ConfigurationError, Passwords, Tx, Work
from systems.petpro.auth.roles import ensure_roles
from systems.petpro.auth.tables import Account, Role
from systems.petpro.booking.tables import ClinicService, Reservation, Review, Slot
from systems.petpro.clinic.tables import Clinic, Offering, StaffMember
from systems.petpro.demo_bookings import BOOKED, add_bookings
from systems.petpro.demo_clinics import add_clinics
from systems.petpro.demo_orders import add_orders
from systems.petpro.demo_rows import (
    SEED,
    Bundle,
    DataSet,
    Row,
    add_catalogue,
    add_health,
    add_people,
    add_person,
    add_pets,
    demo_id,
)
from systems.petpro.demo_shop import add_categories, add_shop, close_shelves
from systems.petpro.inventory.tables import Category, OrderHold, Product
from systems.petpro.pet.tables import MedicalRecord, Pet, Species, Vaccination
from systems.petpro.vendor.order_tables import Order, Payout
from systems.petpro.vendor.tables import Listing, Vendor

PASSWORD = "Secret123"  # noqa: S105 - of people who do not exist
ADMIN = "admin@petpro.test"
SIZES = {"demo": 1, "load": 10, "large": 100}
AT_ONCE = 200
AGE = timedelta(days=120)
"""How long the users have been there."""
ORDER: Sequence[tuple[str, type[Any]]] = (
    ("auth", Account), ("pet", Species), ("pet", Pet), ("pet", MedicalRecord), ("pet", Vaccination),
    ("clinic", Clinic), ("clinic", StaffMember), ("clinic", Offering), ("booking", ClinicService), ("booking", Slot),
    ("booking", Reservation), ("booking", Review), ("inventory", Category), ("inventory", Product),
    ("inventory", OrderHold), ("vendor", Vendor), ("vendor", Listing), ("vendor", Payout), ("vendor", Order),
)  # fmt: skip

Progress = Callable[[str, int, int], None]


async def load(works: Mapping[str, Work], which: str, progress: Progress) -> None:
    """Load a data set.

    Args:
        works: each service's unit of work, by the service's name.
        which: `demo`, `load` or `large`.
        progress: told the table, how many rows are in, and how many there will be.
    """
    if which not in SIZES:
        raise ConfigurationError("system petpro", f"has no data set {which!r}", f"Load one of: {', '.join(SIZES)}")
    hashed = await works["auth"].use(Passwords).hash(PASSWORD)
    now = await works["auth"].run(_begun, readonly=True) or works["auth"].now()
    made = make(SIZES[which], now, hashed, await works["auth"].run(_roles))
    for service, table in ORDER:
        await _insert_missing(works[service], table, made.bundles[table], progress)


async def _begun(tx: Tx) -> datetime | None:
    """The time for which the data was made before: a load that was cut short goes on with it."""
    admin = await tx.get(Account, demo_id("user", ADMIN))
    return None if admin is None else admin.created_at + AGE


async def _roles(tx: Tx) -> dict[str, UUID]:
    await ensure_roles(tx)
    return {role.name: role.id for role in await tx.scalars(select(Role))}


def make(copies: int, now: datetime, password_hash: str, roles: Mapping[str, UUID]) -> DataSet:
    """The rows, the same ones for the same time."""
    made, random = DataSet(now, password_hash, roles), Random(SEED)
    add_person(made, ADMIN, "Ada Admin", "admin", "+62 800 000")
    add_catalogue(made)
    categories = add_categories(made)
    for copy in range(copies):
        people = add_people(made, copy)
        pets = add_pets(made, people, copy, random)
        practices = add_clinics(made, people, copy)
        add_health(made, pets, [member["id"] for each in practices for member in each.staff], copy, random)
        add_bookings(made, practices, pets, range(copy * BOOKED, (copy + 1) * BOOKED), random)
        shops = add_shop(made, categories, people, copy, random)
        add_orders(made, shops, people.customers, copy, random)
        close_shelves(made, shops)
    return made


async def _insert_missing(work: Work, table: type[Any], bundles: Sequence[Bundle], progress: Progress) -> None:
    for start in range(0, len(bundles), AT_ONCE):
        chunk = bundles[start : start + AT_ONCE]
        await work.run(partial(_insert_new, table, chunk))
        progress(table.__tablename__, start + len(chunk), len(bundles))


async def _insert_new(table: type[Any], chunk: Sequence[Bundle], tx: Tx) -> None:
    key = inspect(table).primary_key[0]
    known = set(await tx.scalars(select(key).where(key.in_([bundle.row[key.key] for bundle in chunk]))))
    new = [bundle for bundle in chunk if bundle.row[key.key] not in known]
    rows: dict[type[Any], list[Row]] = defaultdict(list)
    for bundle in new:
        for kind, row in ((table, bundle.row), *bundle.parts):
            # However old it is, it is new here: no reconciliation may miss it in copies that are about to hear of it.
            rows[kind].append(row | {"updated_at": tx.now()} if "updated_at" in row else row)
    for kind, values in rows.items():
        # One statement for all, although they leave different columns empty.
        await tx.execute(insert(kind).execution_options(render_nulls=True), values)
    for bundle in new:
        for step in bundle.then:
            await step(tx)
        tx.publish(*bundle.facts)
