"""For whom a flag is on."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest

from freehold import ConfigurationError, DeclarationError, Flag, Service, uuid7
from freehold.model.flags import Rollout

USERS = [UUID(int=number) for number in range(2000)]


def on_for(rollout: Rollout, flag: str = "a.flag") -> set[UUID]:
    return {user for user in USERS if rollout.includes(flag, user)}


def test_a_flag_is_off_until_it_is_set() -> None:
    assert on_for(Rollout()) == set()
    assert not Rollout().includes("a.flag", None)


def test_a_percentage_is_of_the_users_always_the_same_and_grows() -> None:
    shares = [on_for(Rollout(percent)) for percent in (1, 25, 50, 99, 100)]
    assert [abs(len(share) / 20 - percent) < 4 for share, percent in zip(shares, (1, 25, 50, 99, 100), strict=True)]
    assert all(smaller < larger for smaller, larger in pairwise(shares))
    assert [len(share) for share in shares] == [18, 490, 1014, 1981, 2000], "no process may come to another answer"


def test_two_flags_are_on_for_different_users() -> None:
    both = on_for(Rollout(50), "a.flag") & on_for(Rollout(50), "another.flag")
    assert 400 < len(both) < 600


def test_without_a_user_a_flag_is_on_only_for_all() -> None:
    assert not Rollout(99, frozenset({"None"})).includes("a.flag", None)
    assert Rollout(100).includes("a.flag", None)


def test_a_user_is_named_by_id_whatever_its_type() -> None:
    ann = uuid7()
    rollout = Rollout().after(f"user:{ann}").after("user:7")
    assert rollout.includes("a.flag", ann)
    assert rollout.includes("a.flag", 7)
    assert not rollout.includes("a.flag", uuid7())


def test_what_a_setting_makes_of_it() -> None:
    rollout = Rollout().after("user:ann").after("25%").after("user:bob")
    assert (rollout.percent, sorted(rollout.users)) == (25, ["ann", "bob"])
    assert str(rollout) == "25% user:ann user:bob"
    assert str(rollout.after("on")) == "on user:ann user:bob"
    assert rollout.after("off") == Rollout()
    assert str(Rollout().after("0%")) == "off"


@pytest.mark.parametrize("setting", ["", "ON", "101%", "2.5%", "-1%", "%", "user:", "maybe", "25"])
def test_what_is_no_setting(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="Give on, off, a whole percentage, or user:ID"):
        Rollout().after(setting)


def test_flags_are_declared_once_and_named_like_events() -> None:
    with pytest.raises(DeclarationError, match="lower-case words"):
        Flag("New Prices", "…")
    with pytest.raises(DeclarationError, match=r"declares the flag 'new\.prices' twice"):
        Service("orders", flags=[Flag("new.prices", "…"), Flag("new.prices", "…")])
