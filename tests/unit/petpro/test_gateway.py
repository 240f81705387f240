"""The fake payment gateway: idempotent by key, failing when told, its webhooks signed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from freehold import DataFolder, InvalidSignature
from systems.petpro.gateway import FakeGateway, GatewayDown, GatewaySettings, PaymentGateway, open_gateway

AMOUNT = Decimal("250000.00")


async def test_it_is_a_gateway_that_does_each_key_once() -> None:
    gateway = FakeGateway("secret")
    assert isinstance(gateway, PaymentGateway)
    first = await gateway.refund("refund:1:1", "bk_1", AMOUNT)
    assert await gateway.refund("refund:1:1", "bk_1", AMOUNT) == first
    await gateway.refund("refund:1:2", "bk_1", Decimal("1.00"))
    await gateway.refund("refund:2:1", "bk_2", Decimal("2.00"))
    assert gateway.done("refund", "bk_1") == [AMOUNT, Decimal("1.00")]
    assert len(gateway.done("refund")) == 3
    session = await gateway.open_session("p1", AMOUNT, "IDR", "bk_1")
    assert session.reference == "bk_1"
    assert session != await gateway.open_session("p1:2", AMOUNT, "IDR", "bk_1")
    assert (await gateway.transfer("payout:1", "acc", AMOUNT)).amount == AMOUNT


async def test_it_fails_as_often_as_it_is_told() -> None:
    gateway = FakeGateway("secret")
    gateway.fail("refund", 2)
    for _ in range(2):
        with pytest.raises(GatewayDown):
            await gateway.refund("r", "bk_1", AMOUNT)
    assert gateway.done("refund") == []
    await gateway.refund("r", "bk_1", AMOUNT)
    assert (gateway.calls("refund"), gateway.done("refund")) == (3, [AMOUNT])


def test_webhooks_are_signed_apart_or_inside() -> None:
    gateway = FakeGateway("secret")
    body, signature = gateway.webhook("bk_1", AMOUNT)
    gateway.verify(body, signature)
    blank = json.dumps({"external_reference": "bk_1", "signature": ""}).encode()
    signed = json.dumps({"external_reference": "bk_1", "signature": gateway.sign(blank)}).encode()
    gateway.verify(signed, None)
    wrong = [
        (body, None), (body, "00"), (body + b" ", signature), (b"no JSON", None), (b"[]", None),
        (signed.replace(b"bk_1", b"bk_2"), None), (blank, None), (signed, ""),
    ]  # fmt: skip
    for given, shown in wrong:
        with pytest.raises(InvalidSignature):
            gateway.verify(given, shown)


async def test_what_it_did_and_was_told_and_its_secret_outlive_the_process(tmp_path: Path) -> None:
    first = open_gateway(GatewaySettings(), DataFolder(tmp_path))
    await first.refund("r", "bk_1", AMOUNT)
    first.fail("refund")
    body, signature = first.webhook("bk_1", AMOUNT)
    await first.aclose()
    second = open_gateway(GatewaySettings(), DataFolder(tmp_path))
    with pytest.raises(GatewayDown):
        await second.refund("r", "bk_1", AMOUNT)
    await second.refund("r", "bk_1", AMOUNT)
    assert second.done("refund") == [AMOUNT]
    assert (second.calls("refund", "bk_1"), second.calls("refund", "bk_2")) == (3, 0)
    second.verify(body, signature)
    other = open_gateway(GatewaySettings.model_validate({"gateway_secret": "given"}), DataFolder(tmp_path))
    with pytest.raises(InvalidSignature):
        other.verify(body, signature)
    for gateway in (second, other):
        await gateway.aclose()
