"""The catalogue, and stock as people put it right."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update

from systems.petpro.inventory.contract import (
    CheckStock,
    GetProduct,
    InventoryChanged,
    InventoryLowStock,
    ProductCreated,
    ProductDeactivated,
    ProductUpdated,
    SnapshotProducts,
    SnapshotStock,
    WantedStock,
)
from systems.petpro.inventory.rules import Level
from systems.petpro.inventory.tables import Stock
from tests.systems.petpro.market_stage import open_on
from tests.systems.petpro.stage import Stage, invalid, problem, stage_mark

pytestmark = stage_mark


async def test_categories_lie_in_each_other(stage: Stage) -> None:
    market = await open_on(stage)
    admin, path = market.admin, "/inventory/categories"
    food = await market.call("POST", path, admin, 201, name="Food", sortOrder=2)
    dry = await market.call("POST", path, admin, 201, name="Dry", parentCategoryId=food["id"])
    assert (food["displayOrder"], dry["parentId"]) == (2, food["id"])
    problem(await market.ask("POST", path, admin, name="Food"), 409, "DUPLICATE_CATEGORY")
    problem(await market.ask("POST", path, admin, name="Dry", parentId=food["id"]), 409, "DUPLICATE_CATEGORY")
    problem(await market.ask("POST", path, admin, name="X", parentId=str(uuid4())), 404, "CATEGORY_NOT_FOUND")
    cycle = await market.ask("PATCH", f"{path}/{food['id']}", admin, parentId=dry["id"])
    problem(cycle, 400, "CATEGORY_CYCLE")
    for alias in ("/product-categories", "/categories", path):
        assert [row["name"] for row in (await market.call("GET", alias, None))["data"]] == ["Dry", "Food"]
    assert [row["name"] for row in (await market.call("GET", f"{path}?parentId={food['id']}", None))["data"]] == ["Dry"]
    assert [child["name"] for child in (await market.call("GET", f"{path}/{food['id']}", None))["children"]] == ["Dry"]
    problem(await market.ask("DELETE", f"{path}/{food['id']}", admin), 409, "CATEGORY_NOT_EMPTY")
    await market.product(categoryId=dry["id"])
    problem(await market.ask("DELETE", f"{path}/{dry['id']}", admin), 409, "CATEGORY_NOT_EMPTY")
    toys = await market.call("POST", path, admin, 201, name="Toys")
    await market.call("DELETE", f"{path}/{toys['id']}", admin, 204)
    problem(await market.ask("GET", f"{path}/{toys['id']}", None), 404, "CATEGORY_NOT_FOUND")


async def test_a_renamed_category_is_told_for_each_of_its_products(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.product()
    category = await market.category()
    await market.call("PATCH", f"/admin/inventory/categories/{category}", market.admin, name="Meals")
    (told,) = await stage.published(ProductUpdated)
    assert (str(told.product_id), told.category_name, told.version) == (product, "Meals", 2)


async def test_a_product_begins_with_its_stock(stage: Stage) -> None:
    market = await open_on(stage)
    category = await market.category()
    wish: dict[str, Any] = {"name": "Kibble", "sku": "K-1", "price": 100.0, "categoryId": category}
    made = await market.call(
        "POST", "/inventory/products", market.admin, 201,
        **wish, salePrice=80.0, onSale=True, initialQuantity=4, minStock=5, images=["https://img.example/k.png"],
    )  # fmt: skip
    assert (made["effectivePrice"], made["quantityAvailable"], made["availability"]) == (80.0, 4, "low_stock")
    (created,) = await stage.published(ProductCreated)
    assert (created.category_name, created.image_url, created.version) == ("Food", "https://img.example/k.png", 1)
    (changed,) = await stage.published(InventoryChanged)
    assert (changed.quantity_available, changed.reorder_threshold, changed.version) == (4, 5, 1)
    assert await market.ledger(made["id"]) == [("stock_in", 4)]
    path = "/inventory/products"
    problem(await market.ask("POST", path, market.admin, **wish), 409, "DUPLICATE_SKU")
    lonely = wish | {"sku": "K-2", "categoryId": str(uuid4())}
    problem(await market.ask("POST", path, market.admin, **lonely), 404, "CATEGORY_NOT_FOUND")
    invalid(await market.ask("POST", path, market.admin, **wish | {"price": 0}), "price")
    for prices in ({"salePrice": 100.0}, {"onSale": True}):
        problem(await market.ask("POST", path, market.admin, **wish, **prices), 400, "VALIDATION_ERROR")


async def test_vendors_fill_the_catalogue_with_their_own(stage: Stage) -> None:
    market = await open_on(stage)
    shop, other = await market.shop(), await market.shop()
    wish = {"name": "Ball", "sku": "B-1", "price": 10.0, "categoryId": await market.category()}
    path = "/inventory/products"
    problem(await market.ask("POST", path, shop, **wish), 400, "VALIDATION_ERROR")
    problem(await market.ask("POST", path, shop, **wish, vendorId=other.vendor_id), 403, "FORBIDDEN")
    problem(await market.ask("POST", path, shop, **wish, vendorId=str(uuid4())), 422, "VENDOR_NOT_FOUND")
    mine = await market.call("POST", path, shop, 201, **wish, vendorId=shop.vendor_id)
    assert (await market.call("PATCH", f"{path}/{mine['id']}", shop, name="Big ball"))["name"] == "Big ball"
    problem(await market.ask("PATCH", f"{path}/{mine['id']}", other, name="Mine"), 403, "FORBIDDEN")
    problem(await market.ask("DELETE", f"{path}/{await market.product()}", shop), 403, "FORBIDDEN")
    history = f"/products/{mine['id']}/inventory/history"
    problem(await market.ask("GET", history, other), 403, "FORBIDDEN")
    assert (await market.call("GET", history, shop))["data"] == []
    await market.call("PUT", f"/vendors/{shop.vendor_id}/status", market.admin, status="suspended", reason="fraud")
    again = wish | {"sku": "B-2"}
    problem(await market.ask("POST", path, shop, **again, vendorId=shop.vendor_id), 422, "VENDOR_NOT_APPROVED")


async def test_changing_a_product_and_taking_it_off_sale(stage: Stage) -> None:
    market = await open_on(stage)
    product, admin = await market.product(price=100.0, sku="A-1"), market.admin
    await market.product(sku="A-2")
    path = f"/inventory/products/{product}"
    problem(await market.ask("PATCH", path, admin, salePrice=100.0), 400, "VALIDATION_ERROR")
    problem(await market.ask("PATCH", path, admin, sku="A-2"), 409, "DUPLICATE_SKU")
    invalid(await market.ask("PATCH", path, admin, name=None), "name")
    changed = await market.call("PUT", path, admin, price=50.0, minStock=20)
    assert (changed["regularPrice"], changed["availability"]) == (50.0, "low_stock")
    threshold = (await stage.published(InventoryChanged))[-1]
    assert (threshold.reorder_threshold, threshold.quantity, threshold.version) == (20, 0, 2)
    for _ in range(2):
        await market.call("DELETE", path, admin, 204)
    (gone,) = await stage.published(ProductDeactivated)
    assert gone.version == 3
    seen = await market.call("GET", f"/products/{product}", None)
    assert (seen["isActive"], seen["availability"]) == (False, "inactive")
    assert len((await market.call("GET", "/products", None))["data"]) == 1


async def test_looking_through_the_catalogue(stage: Stage) -> None:
    market = await open_on(stage)
    toys = (await market.call("POST", "/inventory/categories", market.admin, 201, name="Toys"))["id"]
    await market.product(name="Red ball", categoryId=toys, price=30.0, salePrice=10.0, onSale=True, isFeatured=True)
    await market.product(name="Blue ball 100%", price=20.0, description="for dogs")
    await market.product(name="Kibble", price=40.0, sku="KIB")

    async def names(path: str) -> list[str]:
        return [row["name"] for row in (await market.call("GET", path, None))["data"]]

    assert await names("/products") == ["Kibble", "Blue ball 100%", "Red ball"]
    assert await names("/inventory/products?maxPrice=20") == ["Blue ball 100%", "Red ball"]
    assert await names("/products?minPrice=15&maxPrice=30") == ["Blue ball 100%"]
    assert await names("/products?featured=true") == ["Red ball"]
    assert await names(f"/products?category={toys}") == await names(f"/products/category/{toys}") == ["Red ball"]
    assert await names("/products/search?query=ball") == ["Blue ball 100%", "Red ball"]
    assert await names("/products/search?query=DOGS") == ["Blue ball 100%"]
    assert await names("/products/search?query=0%25") == ["Blue ball 100%"]
    assert await names("/products/search?query=KIB") == ["Kibble"]
    invalid(await market.ask("GET", "/products/search", None), "query")
    invalid(await market.ask("GET", "/products?limit=101", None), "limit")
    problem(await market.ask("GET", f"/products/category/{uuid4()}", None), 404, "CATEGORY_NOT_FOUND")
    page = await market.call("GET", "/products?page=2&limit=2", None)
    assert (len(page["data"]), page["meta"]) == (1, {"page": 2, "limit": 2, "total": 3, "totalPages": 2})


async def test_stock_is_put_right_with_a_reason(stage: Stage) -> None:
    market = await open_on(stage)
    product, keeper = await market.product(10), await stage.staff()
    path = f"/inventory/stock/product/{product}/adjust"
    for kind, quantity, left in (
        ("increase", 5, 15), ("restock", 5, 20), ("decrease", 4, 16), ("damaged", 6, 10), ("set", 3, 3), ("set", 3, 3),
    ):  # fmt: skip
        row = await market.call("PATCH", path, keeper, adjustmentType=kind, quantity=quantity, reason="count")
        assert row["quantityAvailable"] == left
    assert await market.ledger(product) == [
        ("stock_in", 10), ("adjustment", 5), ("stock_in", 5), ("adjustment", -4), ("damaged", -6), ("adjustment", -7),
    ]  # fmt: skip
    assert row["lastRestockDate"] is not None
    short = await market.ask("PATCH", path, keeper, adjustmentType="damaged", quantity=4, reason="flood")
    problem(short, 422, "INSUFFICIENT_STOCK")
    assert await market.stock(product) == Level(available=3, reserved=0)
    invalid(await market.ask("PATCH", path, keeper, adjustmentType="lost", quantity=1, reason="?"), "adjustmentType")
    zero = await market.ask("PATCH", path, keeper, adjustmentType="increase", quantity=0, reason="?")
    problem(zero, 400, "VALIDATION_ERROR")
    problem(
        await market.ask("PATCH", f"/inventory/stock/product/{uuid4()}/adjust", keeper,
                         adjustmentType="set", quantity=1, reason="?"),
        404, "PRODUCT_NOT_FOUND",
    )  # fmt: skip
    alias = f"/admin/inventory/products/{product}/stock"
    assert (await market.call("PUT", alias, keeper, adjustmentType="set", quantity=9, reason="found"))["version"] == 7
    rows = (await market.call("GET", f"/products/{product}/inventory/history", keeper))["data"]
    assert [(row["transactionType"], row["quantity"]) for row in rows][:2] == [("adjustment", 6), ("adjustment", -7)]
    assert rows[0]["metadata"]["reason"] == "found"
    later = f"/products/{product}/inventory/history?startDate=2030-01-02T00:00:00Z"
    assert (await market.call("GET", later, keeper))["data"] == []


async def test_only_keepers_see_what_is_reserved(stage: Stage) -> None:
    market = await open_on(stage)
    shop, customer = await market.shop(), await market.customer()
    product = await market.listed(shop, "100.00")
    await market.placed(customer, (product, 4))
    path = f"/inventory/stock/product/{product}"
    for who, reserved in ((None, None), (customer, None), (await stage.staff(), 4), (market.admin, 4)):
        seen = await market.call("GET", path, who)
        assert (seen["quantityAvailable"], seen["quantityReserved"], seen["availability"]) == (6, reserved, "in_stock")


async def test_what_runs_low_is_told_once_a_day(stage: Stage) -> None:
    market = await open_on(stage)
    low = await market.product(2, name="Low")
    await market.product(50)
    for _ in range(2):
        await stage.world.run_job("inventory", "low_stock_scan")
    assert [str(event.product_id) for event in await stage.published(InventoryLowStock)] == [low]
    for path in ("/inventory/stock/low", "/products/low-stock", "/admin/inventory/alerts/low-stock"):
        assert [row["productName"] for row in (await market.call("GET", path, market.admin))["data"]] == ["Low"]
    stage.clock.advance(hours=24)
    await stage.world.run_job("inventory", "low_stock_scan")
    assert len(await stage.published(InventoryLowStock)) == 2


async def test_stock_that_left_its_ledger_is_brought_back_to_it(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.product(10)
    async with stage.world.work("inventory").transaction() as tx:
        await tx.execute(update(Stock).values(quantity_available=12, quantity_reserved=1))
    await stage.world.run_job("inventory", "reconcile_stock")
    assert await market.stock(product) == Level(available=10, reserved=0)
    told = (await stage.published(InventoryChanged))[-1]
    assert (told.quantity_available, told.quantity_reserved, told.version) == (10, 0, 2)


async def test_what_siblings_are_told(stage: Stage) -> None:
    market = await open_on(stage)
    product = await market.product(3)
    row = await stage.ask("inventory", GetProduct(product_id=UUID(product)))
    assert (row.category_name, row.version) == ("Food", 1)
    assert (await stage.ask("inventory", SnapshotProducts())).data == [row]
    (stock,) = (await stage.ask("inventory", SnapshotStock())).data
    assert (stock.product_id, stock.quantity_available) == (UUID(product), 3)
    twice = [WantedStock(product_id=UUID(product), quantity=2)] * 2
    answer = await stage.ask("inventory", CheckStock(items=twice))
    assert [(short.requested, short.available) for short in answer.shortages] == [(4, 3)]
    assert (await stage.ask("inventory", CheckStock(items=twice[:1]))).ok
