import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from freehold.identity import RefreshState, Verdict, hash_refresh_token, judge, new_refresh_token


def test_a_token_is_32_random_bytes_and_only_its_hash_is_stored():
    token, hashed = new_refresh_token(lambda size: bytes(range(size)))
    assert token == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert hashed == hashlib.sha256(token.encode()).hexdigest() == hash_refresh_token(token)
    assert new_refresh_token() != new_refresh_token()


def test_a_token_does_not_show_itself():
    new = new_refresh_token()
    assert new.token not in repr(new)
    assert new.token not in f"{new}"


@pytest.mark.parametrize("text", ["", "x" * 100_000, "\ud800", "日本"])
def test_any_text_can_be_looked_up(text):
    assert len(hash_refresh_token(text)) == 64


def test_expiry_is_exact(clock):
    state = RefreshState(expires_at=clock.now() + timedelta(days=7))
    clock.advance(7 * 86_400 - 0.001)
    assert judge(state, clock.now()) is Verdict.ROTATE
    clock.advance(0.001)
    assert judge(state, clock.now()) is Verdict.EXPIRED


def test_verdicts(clock):
    soon, over = clock.now() + timedelta(seconds=1), clock.now()
    assert judge(None, clock.now()) is Verdict.UNKNOWN
    assert judge(RefreshState(soon, replaced=True), clock.now()) is Verdict.REUSED
    assert judge(RefreshState(over, replaced=True), clock.now()) is Verdict.REUSED
    assert judge(RefreshState(soon, replaced=True, revoked=True), clock.now()) is Verdict.REUSED
    assert judge(RefreshState(soon, revoked=True), clock.now()) is Verdict.UNKNOWN
    assert judge(RefreshState(over, revoked=True), clock.now()) is Verdict.UNKNOWN


class Family(RuleBasedStateMachine):
    """An auth service in ten lines: whatever order tokens are shown in, one is good at most, and a second use ends all."""

    tokens = Bundle("tokens")

    def __init__(self):
        super().__init__()
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.rows: dict[str, RefreshState] = {}
        self.used: set[str] = set()
        self.ended = False

    @initialize(target=tokens)
    def log_in(self):
        return self.insert()

    def insert(self):
        token, hashed = new_refresh_token()
        self.rows[hashed] = RefreshState(self.now + timedelta(days=7))
        return token

    @rule(target=tokens, token=tokens)
    def refresh(self, token):
        hashed = hash_refresh_token(token)
        row = self.rows.get(hashed)
        verdict = judge(row, self.now)
        assert (verdict is Verdict.REUSED) == (token in self.used)
        if verdict is Verdict.REUSED:
            self.rows = {key: RefreshState(each.expires_at, each.replaced, True) for key, each in self.rows.items()}
            self.ended = True
        if verdict is not Verdict.ROTATE:
            return token
        assert not self.ended
        self.used.add(token)
        self.rows[hashed] = RefreshState(row.expires_at, replaced=True)
        return self.insert()

    @rule()
    def wait(self):
        self.now += timedelta(days=3)

    @invariant()
    def at_most_one_is_good(self):
        good = [row for row in self.rows.values() if judge(row, self.now) is Verdict.ROTATE]
        assert len(good) <= (0 if self.ended else 1)


TestFamily = Family.TestCase
TestFamily.settings = settings(max_examples=50, stateful_step_count=15, deadline=None)
