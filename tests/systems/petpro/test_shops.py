"""Vendors and what they list: who sees them, who decides on them, and what becomes of them when others change."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import delete, update

from systems.petpro.inventory.contract import GetStock, InventoryChanged
from systems.petpro.vendor.contract import (
    GetVendor,
    SnapshotListings,
    SnapshotVendors,
    VendorCreated,
    VendorProductChanged,
    VendorStatusChanged,
    VendorUpdated,
)
from systems.petpro.vendor.tables import Listing, ProductRef, UserRef
from tests.systems.petpro.market_stage import open_on
from tests.systems.petpro.stage import Stage, invalid, problem, stage_mark

pytestmark = stage_mark


async def test_a_vendor_is_seen_by_others_once_it_is_approved(stage: Stage) -> None:
    market = await open_on(stage)
    owner, customer = await stage.vendor(), await market.customer()
    made = await market.call("POST", "/vendors/register", owner, 201, **market.application())
    assert (made["status"], made["commissionRate"], made["taxId"]) == ("pending", 10.0, "01.234")
    path = f"/vendors/{made['id']}"
    for who in (None, customer):
        problem(await market.ask("GET", path, who), 404, "VENDOR_NOT_FOUND")
        problem(await market.ask("GET", f"{path}/products", who), 404, "VENDOR_NOT_FOUND")
        assert (await market.call("GET", "/vendors", who))["data"] == []
    for who in (owner, market.admin):
        assert (await market.call("GET", path, who))["status"] == "pending"
        assert (await market.call("GET", f"/vendors/user/{owner.id}", who))["id"] == made["id"]
    assert len((await market.call("GET", "/admin/vendors", market.admin))["data"]) == 1
    problem(await market.ask("GET", f"/vendors/user/{owner.id}", customer), 403, "FORBIDDEN")
    problem(await market.ask("GET", f"/vendors/user/{customer.id}", customer), 404, "VENDOR_NOT_FOUND")

    await market.call("PUT", f"/admin{path}/approve", market.admin)
    (seen,) = (await market.call("GET", "/vendors/search?query=shop", None))["data"]
    assert "taxId" not in seen
    assert "verificationData" not in seen
    assert (await market.call("GET", "/vendors?city=Bandung", None))["data"] == []


async def test_one_vendor_for_a_user_and_an_address(stage: Stage) -> None:
    market = await open_on(stage)
    owner, other = await stage.vendor(), await stage.vendor()
    wish = market.application()
    await market.call("POST", "/vendors", owner, 201, **wish | {"email": " Shop@Example.com"[1:]})
    problem(await market.ask("POST", "/vendors", owner, **market.application()), 409, "VENDOR_EXISTS")
    taken = await market.ask("POST", "/vendors", other, **wish | {"email": "shop@example.com"})
    problem(taken, 409, "EMAIL_ALREADY_REGISTERED")
    del wish["businessName"]
    invalid(await market.ask("POST", "/vendors", other, **wish | {"email": "none"}), "businessName", "email")
    aliased = market.application()
    aliased |= {"contactEmail": aliased.pop("email"), "streetAddress": aliased.pop("address")}
    aliased |= {"phoneNumber": aliased.pop("phone"), "state": aliased.pop("province")}
    made = await market.call("POST", "/vendors", other, 201, **aliased)
    assert (made["phone"], made["province"]) == ("021-555", "DKI Jakarta")
    assert len(await stage.published(VendorCreated)) == 2


async def test_what_administrators_decide_of_a_vendor(stage: Stage) -> None:
    market = await open_on(stage)
    owner = await stage.vendor()
    made = await market.call("POST", "/vendors", owner, 201, **market.application())
    path, admin = f"/vendors/{made['id']}", market.admin
    suspend = await market.ask("PUT", f"{path}/status", admin, status="suspended", reason="?")
    problem(suspend, 409, "INVALID_STATUS_TRANSITION")
    assert suspend.json()["details"] == {"from": "pending", "to": "suspended"}
    assert (await market.call("PUT", f"/admin{path}/reject", admin, reason="no papers"))["status"] == "rejected"
    assert (await market.call("PUT", path, owner, taxId="99.1"))["status"] == "pending"  # resubmitted
    decided = await market.call("PUT", f"{path}/status", admin, status="approved", commissionRate=12.5)
    assert (decided["status"], decided["commissionRate"]) == ("approved", 12.5)
    await market.call("PUT", f"/admin{path}/approve", admin)  # again: nothing happens
    changes = [(event.previous_status, event.status) for event in await stage.published(VendorStatusChanged)]
    assert changes == [("pending", "rejected"), ("rejected", "pending"), ("pending", "approved")]
    versions = [event.version for event in await stage.published(VendorUpdated)]
    row = await stage.ask("vendor", GetVendor(vendor_id=UUID(made["id"])))
    assert (row.status, str(row.commission_rate), row.version) == ("approved", "12.50", max(versions))
    (snapshot,) = (await stage.ask("vendor", SnapshotVendors())).data
    assert snapshot == row


async def test_a_user_who_leaves_sells_nothing_more(stage: Stage) -> None:
    market = await open_on(stage)
    shop = await market.shop()
    product = await market.listed(shop, "100.00")
    await market.call("PUT", f"/admin/users/{shop.id}/status", market.admin, isActive=False, reason="left")
    await market.go_on()
    problem(await market.ask("GET", f"/vendors/{shop.vendor_id}", None), 404, "VENDOR_NOT_FOUND")
    problem(await market.order(await market.customer(), (product, 1)), 422, "NOT_FOR_SALE")
    (user,) = await stage.rows("vendor", UserRef, UserRef.user_id == shop.id)
    assert not user.is_active
    told = (await stage.published(VendorStatusChanged))[-1]
    assert (told.status, told.reason) == ("suspended", "user deactivated: left")


async def test_customers_and_products_that_were_never_heard_of_are_asked_for_once(stage: Stage) -> None:
    market = await open_on(stage)
    shop, customer = await market.shop(), await market.customer()
    product = await market.listed(shop, "100.00")
    async with stage.world.work("vendor").transaction() as tx:
        await tx.execute(delete(UserRef))
        await tx.execute(delete(ProductRef))
    assert (await market.order(customer, (product, 1))).status_code == 202
    (known,) = await stage.rows("vendor", UserRef)
    assert (known.user_id, known.email) == (customer.id, customer.email)
    assert len(await stage.rows("vendor", ProductRef)) == 1
    stranger = stage.world.as_user(uuid4(), roles=("customer",))
    wish = {"items": [{"productId": product, "quantity": 1}], "shippingAddress": {"city": "X"}}
    problem(await stage.call("POST", "/orders", stranger, **wish, paymentMethod="e_wallet"), 404, "USER_NOT_FOUND")


# --- listings ---------------------------------------------------------------------------------------------------------


async def test_a_listing_from_its_offer_to_its_withdrawal(stage: Stage) -> None:
    market = await open_on(stage)
    shop, other = await market.shop(), await market.shop()
    product = await market.product(7, images=["https://img.example/1.png"])
    path = f"/vendors/{shop.vendor_id}/products"
    wish = {"productId": product, "vendorPrice": 80.0, "marketplacePrice": 100.0}
    problem(await market.ask("POST", path, other, **wish), 403, "FORBIDDEN")
    problem(await market.ask("POST", path, shop, **wish | {"productId": str(uuid4())}), 404, "PRODUCT_NOT_FOUND")
    invalid(await market.ask("POST", path, shop, **wish | {"vendorPrice": 0}), "vendorPrice")
    made = await market.call("POST", path, shop, 201, **wish)
    assert (made["quantityAvailable"], made["vendorPrice"], made["imageUrl"]) == (7, 80.0, "https://img.example/1.png")
    problem(await market.ask("POST", path, shop, **wish), 409, "LISTING_EXISTS")
    (seen,) = (await market.call("GET", path, None))["data"]
    assert (seen["vendorPrice"], seen["marketplacePrice"]) == (None, 100.0)

    await market.call("PUT", f"{path}/{product}", shop, isActive=False)
    assert (await market.call("GET", path, None))["data"] == []
    (mine,) = (await market.call("GET", path, shop))["data"]
    assert not mine["isActive"]
    problem(await market.order(await market.customer(), (product, 1)), 422, "NOT_FOR_SALE")
    (row,) = (await stage.ask("vendor", SnapshotListings())).data
    assert str(row.product_id) == product
    await market.call("DELETE", f"{path}/{product}", shop, 204)
    problem(await market.ask("DELETE", f"{path}/{product}", shop), 404, "LISTING_NOT_FOUND")
    changes = [(event.change, event.is_active) for event in await stage.published(VendorProductChanged)]
    assert changes == [("created", True), ("updated", False), ("removed", False)]


async def test_who_is_not_approved_lists_nothing(stage: Stage) -> None:
    market = await open_on(stage)
    owner, product = await stage.vendor(), await market.product()
    made = await market.call("POST", "/vendors", owner, 201, **market.application())
    wish = {"productId": product, "vendorPrice": 80.0, "marketplacePrice": 100.0}
    problem(await market.ask("POST", f"/vendors/{made['id']}/products", owner, **wish), 422, "VENDOR_NOT_APPROVED")


async def test_a_product_that_is_taken_off_sale_is_listed_no_more_and_open_orders_go_on(stage: Stage) -> None:
    market = await open_on(stage)
    shop, customer = await market.shop(), await market.customer()
    product = await market.listed(shop, "100.00")
    order_id = await market.paid(customer, (product, 1))
    await market.call("DELETE", f"/inventory/products/{product}", market.admin, 204)
    await market.go_on()
    path = f"/vendors/{shop.vendor_id}/products"
    assert (await market.call("GET", path, None))["data"] == []
    problem(await market.ask("PUT", f"{path}/{product}", shop, isActive=True), 409, "PRODUCT_INACTIVE")
    problem(await market.order(customer, (product, 1)), 422, "NOT_FOR_SALE")
    assert (await market.progress(shop, order_id, "shipped"))["status"] == "shipped"
    assert [event.change for event in await stage.published(VendorProductChanged)] == ["created", "deactivated"]


async def test_listings_follow_the_stock_in_whatever_order_they_hear_of_it(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.listed(await market.shop(), "100.00", 10)
    path = f"/inventory/stock/product/{product}/adjust"
    for quantity in (8, 3):
        await market.call("PATCH", path, market.admin, adjustmentType="set", quantity=quantity, reason="count")
    await market.go_on()
    (listing,) = await stage.rows("vendor", Listing)
    assert listing.quantity_available == 3
    for event in reversed(await stage.published(InventoryChanged)):
        await stage.world.deliver("vendor", event)
    (listing,) = await stage.rows("vendor", Listing)
    stock = await stage.ask("inventory", GetStock(product_id=UUID(product)))
    assert (listing.quantity_available, listing.stock_version) == (3, stock.version)

    async with stage.world.work("vendor").transaction() as tx:  # as if an event had been lost
        await tx.execute(update(Listing).values(quantity_available=9, stock_version=1))
        await tx.execute(update(ProductRef).values(name="Old name"))
    stage.clock.advance(hours=1)
    await stage.world.run_job("vendor", "reconcile_listings")
    (listing,) = await stage.rows("vendor", Listing)
    (known,) = await stage.rows("vendor", ProductRef)
    assert (listing.quantity_available, known.name) == (3, "Product 2")
