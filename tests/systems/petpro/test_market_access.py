"""Who may call what of inventory and vendor: every declared route, every kind of caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from freehold import Service
from systems.petpro.inventory.service import inventory
from systems.petpro.vendor.service import vendor
from tests.systems.petpro.market_stage import ADDRESS, open_on
from tests.systems.petpro.stage import Person, Stage, problem, stage_mark

pytestmark = stage_mark

EVERYBODY = "nobody customer stranger shop rival staff admin"
SIGNED_IN = "customer stranger shop rival staff admin"
CATEGORY = {"name": "Toys"}
PRODUCT = {"name": "Ball", "sku": "BALL", "price": 10.0, "categoryId": "{category}", "vendorId": "{shop}"}
ADJUST = {"adjustmentType": "increase", "quantity": 1, "reason": "count"}
LISTING = {"productId": "{product}", "vendorPrice": 1.0, "marketplacePrice": 2.0}
ORDER = {
    "items": [{"productId": "{product}", "quantity": 1}], "shippingAddress": ADDRESS, "paymentMethod": "e_wallet",
}  # fmt: skip
SHOP = {
    "businessName": "New", "businessType": "shop", "contactName": "Budi", "email": "new@example.com", "phone": "1",
    "address": "Jl. 1", "city": "Jakarta", "province": "DKI", "postalCode": "1",
}  # fmt: skip
REASON = {"reason": "because"}


@dataclass(frozen=True)
class Rule:
    """Who passes a route; everybody else gets 403, or 401 without a token."""

    route: str
    passes: str
    body: Mapping[str, Any] | None = None
    query: str = ""


INVENTORY = [
    *(Rule(f"GET {path}", EVERYBODY) for path in (
        "/inventory/categories", "/admin/inventory/categories", "/product-categories", "/categories",
        "/inventory/categories/{category}", "/admin/inventory/categories/{category}",
        "/inventory/products", "/admin/inventory/products", "/products", "/products/category/{category}",
        "/products/{product}", "/inventory/products/{product}", "/admin/inventory/products/{product}",
        "/inventory/stock/product/{product}",
    )),
    Rule("GET /products/search", EVERYBODY, query="?query=ball"),
    *(Rule(f"GET {path}", "staff admin") for path in (
        "/inventory/stock/low", "/products/low-stock", "/admin/inventory/alerts/low-stock",
    )),
    Rule("GET /products/{product}/inventory/history", "shop staff admin"),
    *(rule for start in ("", "/admin") for rule in (
        Rule(f"POST {start}/inventory/categories", "admin", CATEGORY),
        Rule(f"PATCH {start}/inventory/categories/{{category}}", "admin", {"description": "new"}),
        Rule(f"POST {start}/inventory/products", "shop admin", PRODUCT),
        Rule(f"PUT {start}/inventory/products/{{product}}", "shop admin", {"description": "new"}),
        Rule(f"PATCH {start}/inventory/products/{{product}}", "shop admin", {"description": "new"}),
    )),
    Rule("PATCH /inventory/stock/product/{product}/adjust", "staff admin", ADJUST),
    Rule("PUT /admin/inventory/products/{product}/stock", "staff admin", ADJUST),
    *(rule for start in ("", "/admin") for rule in (
        Rule(f"DELETE {start}/inventory/products/{{product}}", "shop admin"),
        Rule(f"DELETE {start}/inventory/categories/{{category}}", "admin"),
    )),
]  # fmt: skip

VENDOR = [
    *(Rule(f"GET {path}", EVERYBODY) for path in (
        "/vendors", "/admin/vendors", "/vendors/{shop}", "/admin/vendors/{shop}", "/vendors/{shop}/products",
    )),
    Rule("GET /vendors/search", EVERYBODY, query="?query=shop"),
    Rule("GET /vendors/user/{owner}", "shop admin"),
    *(Rule(f"POST {path}", "shop rival", SHOP) for path in ("/vendors", "/vendors/register", "/admin/vendors")),
    Rule("PUT /vendors/{shop}", "shop admin", {"website": "https://shop.example"}),
    Rule("PUT /admin/vendors/{shop}", "shop admin", {"website": "https://shop.example"}),
    Rule("POST /vendors/{shop}/products", "shop", LISTING),
    Rule("PUT /vendors/{shop}/products/{product}", "shop", {"marketplacePrice": 3.0}),
    Rule("POST /orders", "customer stranger", ORDER),
    Rule("GET /orders", SIGNED_IN),
    Rule("GET /orders/{order}", "customer shop admin"),
    Rule("PUT /orders/{order}/status", "shop admin", {"status": "shipped"}),
    Rule("PATCH /vendors/{shop}/orders/{order}/status", "shop admin", {"status": "shipped"}),
    Rule("PUT /orders/{order}/received", "customer"),
    Rule("PUT /orders/{order}/cancel", "customer admin", REASON),
    Rule("POST /vendors/{shop}/orders/{order}/cancel", "shop", REASON),
    Rule("GET /vendors/{shop}/payouts", "shop admin"),
    Rule("GET /payouts/{payout}", "shop admin"),
    Rule("POST /admin/payouts/run", "admin", {}),
    Rule("PUT /admin/payouts/{payout}/status", "admin", {"status": "processing"}),
    Rule("DELETE /vendors/{shop}/products/{product}", "shop"),
    *(Rule(f"PUT {path}", "admin", {"status": "suspended", **REASON}) for path in (
        "/vendors/{shop}/status", "/admin/vendors/{shop}/status", "/admin/vendors/{shop}/approve",
        "/admin/vendors/{shop}/reject",
    )),
]  # fmt: skip


def plain(route: str) -> str:
    """The route without the names of its parameters."""
    return "/".join("{}" if part.startswith("{") else part for part in route.split("/"))


def declared(service: Service) -> set[str]:
    """The routes that are not for everybody with a signature."""
    open_ones = [route for route in service.routes if route.access is not None and route.access.kind != "signature"]
    return {plain(f"{route.method} {route.path}") for route in open_ones}


async def test_every_declared_route_has_its_line() -> None:
    for service, rules in ((inventory, INVENTORY), (vendor, VENDOR)):
        lines = [plain(rule.route) for rule in rules]
        assert sorted(lines) == sorted(declared(service))
        signed = [
            route.path for route in service.routes if route.access is not None and route.access.kind == "signature"
        ]
        assert signed == (["/orders/webhook/payment"] if service is vendor else [])


async def test_who_may_call_inventory(stage: Stage) -> None:
    await _check(stage, INVENTORY)


async def test_who_may_call_vendor(stage: Stage) -> None:
    await _check(stage, VENDOR)


async def _check(stage: Stage, rules: list[Rule]) -> None:
    market = await open_on(stage)
    shop, rival, customer = await market.shop(), await market.shop(), await market.customer()
    product = await market.product(vendorId=shop.vendor_id)
    await market.offer(shop, product, "100.00")
    await market.delivered(customer, (product, 1))
    await market.wait(days=8)
    (payout,) = (await market.payouts())["created"]
    callers: dict[str, Person | None] = {
        "nobody": None, "customer": customer, "stranger": await market.customer(), "shop": shop, "rival": rival,
        "staff": await stage.staff(), "admin": market.admin,
    }  # fmt: skip
    names = {
        "category": await market.category(), "product": product, "shop": shop.vendor_id, "owner": str(shop.id),
        "order": await market.paid(customer, (product, 1)), "payout": payout["id"],
    }  # fmt: skip
    for rule in rules:
        passes = rule.passes.split()
        # Those who may not come first: what the others do may be gone afterwards.
        for name in sorted(callers, key=lambda name: name in passes):
            answer = await _ask(stage, rule, callers[name], names)
            where = f"{name}: {rule.route}: {answer.status_code} {answer.text}"
            if name in passes:
                assert answer.status_code not in (401, 403), where
                assert answer.status_code < 500, where
            else:
                assert answer.status_code == (401 if name == "nobody" else 403), where


async def _ask(stage: Stage, rule: Rule, who: Person | None, names: Mapping[str, str]) -> httpx.Response:
    method, path = rule.route.split()
    body = None if rule.body is None else _filled(dict(rule.body), names)
    return await stage.http.request(
        method, f"/api/v1{path.format(**names)}{rule.query}", json=body, headers=who.headers if who else {}
    )


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, names) for each in value]
    return value.format(**names) if isinstance(value, str) else value


async def test_what_siblings_ask_is_for_services_alone(stage: Stage) -> None:
    admin = await stage.admin()
    for service in (inventory, vendor):
        async with stage.world.service(service.name) as client:
            for query in service.answered:
                path = query.__query__.route
                for name in query.model_fields:
                    path = path.replace(f"{{{name}}}", str(admin.id))
                answer = await client.request(query.__query__.method, path, headers=admin.headers, json={})
                problem(answer, 401, "MISSING_SERVICE_TOKEN")
                outside = await stage.http.request(query.__query__.method, f"/api/v1{path}", headers=admin.headers)
                assert outside.status_code == 404, path
