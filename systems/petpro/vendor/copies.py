"""What vendor keeps of others: users, products, and how many there are of what is listed."""

from __future__ import annotations

from sqlalchemy import select, update

from freehold import Change, Tx, View
from systems.petpro.auth.contract import GetUser, SnapshotUsers, UserCreated, UserDeactivated, UserUpdated
from systems.petpro.inventory.contract import (
    GetProduct,
    InventoryChanged,
    ProductCreated,
    ProductDeactivated,
    ProductUpdated,
    SnapshotProducts,
    StockRow,
)
from systems.petpro.vendor.declaration import vendor
from systems.petpro.vendor.tables import Listing, ProductRef, UserRef, Vendor

users = vendor.view(
    View(
        "user_refs", table=UserRef, key="user_id", version="version", synced="synced_at", rebuild=SnapshotUsers,
        one=GetUser,
    )
)  # fmt: skip
products = vendor.view(
    View(
        "product_refs", table=ProductRef, key="product_id", version="version", synced="synced_at",
        rebuild=SnapshotProducts, one=GetProduct,
    )
)  # fmt: skip


@users.on(UserCreated, UserUpdated)
def user_known(event: UserCreated | UserUpdated) -> Change:
    known = {"user_id": event.user_id, "email": event.email, "full_name": event.full_name}
    return Change({**known, "is_active": event.is_active}, version=event.version)


@users.on(UserDeactivated)
def user_gone(event: UserDeactivated) -> Change:
    return Change({"user_id": event.user_id, "is_active": False}, version=event.version)


@products.on(ProductCreated, ProductUpdated)
def product_known(event: ProductCreated | ProductUpdated) -> Change:
    return Change(
        {
            "product_id": event.product_id,
            "name": event.name,
            "sku": event.sku,
            "image_url": event.image_url,
            "regular_price": event.regular_price,
            "is_active": event.is_active,
        },
        version=event.version,
    )


@products.on(ProductDeactivated)
def product_gone(event: ProductDeactivated) -> Change:
    return Change({"product_id": event.product_id, "is_active": False}, version=event.version)


@vendor.on(UserDeactivated)
async def suspend_shop(event: UserDeactivated, tx: Tx) -> None:
    """The shop of a user who left sells nothing more."""
    shop = await tx.find(Vendor, Vendor.user_id == event.user_id, lock=True)
    if shop is not None and shop.status == "approved":
        tx.publish(shop.become("suspended", f"user deactivated: {event.reason}"[:255], tx.now()))


@vendor.on(ProductDeactivated)
async def close_listings(event: ProductDeactivated, tx: Tx) -> None:
    """Nobody sells a product any more that is not on sale. Open orders are fulfilled."""
    live = select(Listing).where(Listing.product_id == event.product_id, Listing.is_active).order_by(Listing.id)
    for listing in await tx.scalars(live.with_for_update()):
        listing.is_active = False
        tx.publish(listing.changed("deactivated", tx.now()))


@vendor.on(InventoryChanged)
async def refresh_quantity(event: InventoryChanged, tx: Tx) -> None:
    """Listings show how many there are."""
    await show_stock(StockRow.model_validate({**event.model_dump(), "updated_at": event.changed_at}), tx)


async def show_stock(stock: StockRow, tx: Tx) -> bool:
    """Have the product's listings show its stock, unless they know better; whether one did not."""
    older = Listing.product_id == stock.product_id, Listing.stock_version < stock.version
    if await tx.scalar(select(Listing.id).where(*older).limit(1)) is None:
        return False
    shown = {"quantity_available": stock.quantity_available, "stock_version": stock.version}
    await tx.execute(update(Listing).where(*older).values(shown))
    return True
