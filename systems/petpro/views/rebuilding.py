"""Rebuilding the views on demand, and comparing them every night."""

from __future__ import annotations

from functools import partial

from sqlalchemy import func, select

from freehold import Derived, Problem, Tx, Unavailable, Work, not_found
from systems.petpro.views import bookings, products, vendors
from systems.petpro.views.declaration import views
from systems.petpro.views.refs import refs
from systems.petpro.views.states import begun, state_of
from systems.petpro.views.tables import ViewState

WIDE: dict[str, Derived] = {
    bookings.NAME: bookings.user_bookings,
    products.NAME: products.product_availability,
    vendors.NAME: vendors.vendor_performance,
}
FACTS = (
    refs, bookings.bookings, bookings.payments, bookings.reviews, products.products, products.stock, products.listings,
    vendors.items, vendors.payouts,
)  # fmt: skip


def wide_view(name: str) -> Derived:
    """The view of this name. Raises 404."""
    if name not in WIDE:
        raise not_found("The view", "VIEW_NOT_FOUND")
    return WIDE[name]


async def begin_rebuild(name: str, tx: Tx) -> ViewState:
    """From the next look on, it is rebuilt. Raises 409 while a rebuild runs."""
    state = await state_of(wide_view(name).name, tx)
    if state.state == "rebuilding":
        raise Problem(409, "REBUILD_RUNNING", f"The view {name} is being rebuilt")
    state.start(tx.now())
    return state


@views.every(seconds=1)
async def rebuild_view(work: Work) -> None:
    """Rebuild what is to be, one after another. A rebuild that a crash cut short is begun anew by the next run."""
    for name in await work.run(begun, readonly=True):
        try:
            await work.rebuild(WIDE[name])
        except (Problem, Unavailable) as error:
            if not (isinstance(error, Problem) and error.code == "REBUILD_RUNNING"):
                await work.run(partial(_fail, name, str(error)))
        else:
            await work.run(partial(_finish, name))


async def _finish(name: str, tx: Tx) -> None:
    rows = await tx.scalar(select(func.count()).select_from(WIDE[name].table))
    tx.publish((await state_of(name, tx)).finish(rows, tx.now()))


async def _fail(name: str, error: str, tx: Tx) -> None:
    (await state_of(name, tx)).fail(error)


@views.every(hours=24)
async def reconcile_views(work: Work) -> None:
    """The facts against their owners' snapshots, every row; then the wide views against the facts."""
    for facts in FACTS:
        await work.reconcile(facts)
    for wide in WIDE.values():
        await work.reconcile(wide)
