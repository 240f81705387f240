"""What operators do with feature flags."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Freehold, forget_systems

FLAGGED = """
from freehold import Flag, Service, System

orders = Service("orders", flags=[Flag("orders.new_prices", "Prices include tax"), Flag("orders.fast", "Faster")])
system = System("kiosk", services=[orders])
"""


@pytest.fixture
def kiosk(freehold: Freehold, folder: Path) -> None:
    """A system with flags."""
    package = folder / "systems" / "kiosk"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "system.py").write_text(FLAGGED)
    forget_systems()


@pytest.mark.usefixtures("kiosk")
def test_flags_are_listed_and_set(freehold: Freehold) -> None:
    listed = freehold("flags", "kiosk", "orders")
    assert listed.stdout.splitlines() == [
        "orders.new_prices\toff\tPrices include tax",
        "orders.fast\toff\tFaster",
    ]
    done = freehold("flags", "kiosk", "orders", "set", "orders.new_prices", "25%")
    assert (done.returncode, done.stdout) == (0, "orders.new_prices: 25%\n")
    done = freehold("flags", "kiosk", "orders", "set", "orders.new_prices", "user:ann", "--json")
    assert json.loads(done.stdout) == {"flag": "orders.new_prices", "percent": 25, "users": ["ann"]}
    prices, fast = json.loads(freehold("flags", "kiosk", "orders", "--json").stdout)
    assert prices == {"flag": "orders.new_prices", "percent": 25, "users": ["ann"], "text": "Prices include tax"}
    assert (fast["percent"], fast["users"]) == (0, [])


@pytest.mark.usefixtures("kiosk")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("orders", "set"), "flags set: flag or setting is not said. Give FLAG"),
        (("orders", "set", "orders.fast"), "flags set: flag or setting is not said"),
        (("orders", "set", "orders.slow", "on"), "flag 'orders.slow': orders declares none of this name"),
        (("orders", "set", "orders.fast", "half"), "flag setting 'half': is none that is known"),
        (("prices",), "service 'prices': kiosk has none of this name. It has: orders"),
    ],
)
def test_a_flag_and_its_setting_must_be_known(freehold: Freehold, words: tuple[str, ...], told: str) -> None:
    done = freehold("flags", "kiosk", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
