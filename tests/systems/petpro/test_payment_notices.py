"""The gateway has one webhook: what is about an order goes on from booking to vendor."""

from __future__ import annotations

from decimal import Decimal

import httpx

from tests.systems.petpro.market_stage import open_on
from tests.systems.petpro.stage import Stage, problem, stage_mark

pytestmark = stage_mark


async def test_a_webhook_about_an_order_goes_on_to_vendor(stage: Stage) -> None:
    market = await open_on(stage)
    order_id = await market.placed(await market.customer(), (await market.listed(await market.shop(), "100.00"), 1))
    reference = (await market.payment(order_id)).external_reference
    assert reference is not None

    async def told(amount: str) -> httpx.Response:
        body, signed = market.gateway.webhook(reference, Decimal(amount))
        return await stage.world.http.post(
            "/api/v1/payments/webhook", content=body, headers={"X-Webhook-Signature": signed}
        )

    problem(await told("1.00"), 400, "AMOUNT_MISMATCH")
    assert (await told("111.00")).json() == {"status": "ok"}
    await market.go_on()
    assert (await market.order_row(order_id)).status == "processing"
