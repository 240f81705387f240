"""Payouts: what was earned, once; less what had to be given back."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from systems.petpro.vendor.contract import PayoutCompleted, PayoutCreated
from systems.petpro.vendor.order_tables import Payout
from systems.petpro.vendor.payouts import pay_out
from tests.databases import Databases
from tests.systems.petpro.market_stage import open_market
from tests.systems.petpro.stage import problem


async def test_what_was_paid_out_and_then_refunded_is_taken_back_from_later_payouts(
    databases: Databases, tmp_path: Path
) -> None:
    async with open_market(databases, tmp_path) as market:
        shop, customer = await market.shop("10.00"), await market.customer()
        dear, cheap = await market.listed(shop, "1000.00"), await market.listed(shop, "100.00")
        refunded = await market.delivered(customer, (dear, 1))
        await market.wait(days=8)
        assert (await market.payouts())["total"] == 900.00
        await market.progress(market.admin, refunded, "refunded")
        for carry, amount in (("-89.99", 0.01), ("-89.99", 0.01)):
            await market.delivered(customer, (cheap, 1))
            await market.wait(days=8)
            (payout,) = (await market.payouts())["created"]
            assert (payout["amount"], payout["transactionDetails"]["carry"]) == (amount, carry)
        await market.delivered(customer, (dear, 1))
        await market.wait(days=8)
        (payout,) = (await market.payouts())["created"]
        assert (payout["amount"], payout["transactionDetails"]["carry"]) == (
            179.98,
            "-720.02",
        )  # all of the 900 is back


@pytest.mark.engines(2, 4)
async def test_two_runs_at_once_make_one_payout(databases: Databases, tmp_path: Path) -> None:
    async with open_market(databases, tmp_path) as market:
        shop, customer = await market.shop(), await market.customer()
        product = await market.listed(shop, "100.00")
        for _ in range(3):
            await market.delivered(customer, (product, 1))
        work, until = market.world.work("vendor"), market.world.clock.now() + timedelta(days=1)
        run = partial(pay_out, UUID(shop.vendor_id), until)
        made = await asyncio.gather(*(work.run(run) for _ in range(4)))
        assert sorted(payout is None for payout in made) == [False, True, True, True]
        (created,) = await market.world.published(PayoutCreated)
        assert (created.amount, created.item_count) == (Decimal("270.00"), 3)


async def test_a_failed_payout_keeps_its_items_and_is_tried_again_by_administrators(
    databases: Databases, tmp_path: Path
) -> None:
    async with open_market(databases, tmp_path) as market:
        shop, customer = await market.shop(), await market.customer()
        await market.delivered(customer, (await market.listed(shop, "100.00"), 1))
        await market.wait(days=8)
        market.gateway.fail("transfer", 3)
        (payout,) = (await market.payouts(vendorId=shop.vendor_id))["created"]
        path = f"/admin/payouts/{payout['id']}/status"
        for _ in range(3):
            await market.wait(minutes=1)
        shown = await market.call("GET", f"/payouts/{payout['id']}", shop)
        assert (shown["status"], len(shown["items"])) == ("failed", 1)
        assert (await market.payouts())["created"] == []
        problem(await market.ask("PUT", path, market.admin, status="completed"), 409, "INVALID_STATUS_TRANSITION")
        assert (await market.call("PUT", path, market.admin, status="processing"))["status"] == "processing"
        await market.wait(minutes=1)
        (listed,) = (await market.call("GET", f"/vendors/{shop.vendor_id}/payouts", shop))["data"]
        assert (listed["status"], listed["amount"]) == ("completed", 90.00)
        assert listed["referenceNumber"].startswith("PAY-")
        assert len(listed["referenceNumber"]) == 12
        assert market.gateway.done("transfer", shop.vendor_id) == [Decimal("90.00")]
        (completed,) = await market.world.published(PayoutCompleted)
        assert str(completed.payout_id) == payout["id"]
        saga = await market.saga("vendor_payout", payout["id"])
        assert saga is not None
        assert saga.status == "completed"


async def test_an_administrator_says_what_became_of_a_payout_elsewhere(databases: Databases, tmp_path: Path) -> None:
    async with open_market(databases, tmp_path) as market:
        shop, customer = await market.shop(), await market.customer()
        await market.delivered(customer, (await market.listed(shop, "100.00"), 1))
        await market.wait(days=8)
        market.gateway.fail("transfer", 1)
        (payout,) = (await market.payouts())["created"]
        shown = await market.call(
            "PUT", f"/admin/payouts/{payout['id']}/status", market.admin, status="completed", referenceNumber="BANK-7"
        )
        assert (shown["status"], shown["transactionDetails"]["transfer"]) == ("completed", "BANK-7")
        await market.wait(minutes=5)
        assert market.gateway.done("transfer", shop.vendor_id) == []


async def test_the_weekly_run_pays_on_mondays_and_makes_up_for_a_missed_one(
    databases: Databases, tmp_path: Path
) -> None:
    async with open_market(databases, tmp_path) as market:
        shop, customer = await market.shop(), await market.customer()
        await market.delivered(customer, (await market.listed(shop, "100.00"), 1))  # Tuesday, 1 January 2030, noon
        await market.wait(days=7, hours=1)  # eligible, but no Monday since
        assert await market.world.published(PayoutCreated) == []
        await market.wait(days=7)  # Tuesday; Monday's run was missed
        assert len(await market.world.published(PayoutCreated)) == 1


class Drawn(random.Random):
    """Draws the same number a while."""

    def randrange(self, *_: object) -> int:  # type: ignore[override]
        self.draws = getattr(self, "draws", 0) + 1
        return 7 if self.draws <= 3 else 8


async def test_a_reference_number_that_is_taken_is_drawn_again(databases: Databases, tmp_path: Path) -> None:
    async with open_market(databases, tmp_path, given={random.Random: Drawn()}) as market:
        customer = await market.customer()
        shops = [await market.shop(), await market.shop()]
        for shop in shops:
            await market.delivered(customer, (await market.listed(shop, "100.00"), 1))
        await market.wait(days=8)
        made = (await market.payouts())["created"]
        assert [payout["referenceNumber"] for payout in made] == ["PAY-00000007", "PAY-00000008"]
        assert len(await market.stage.rows("vendor", Payout)) == 2
