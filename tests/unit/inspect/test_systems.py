"""Every system here is clean under every rule."""

from __future__ import annotations

import importlib
import time

import pytest

from freehold.testing import verify
from tests.docs.documents import ROOT

SYSTEMS = sorted(path.parent.name for path in (ROOT / "systems").glob("*/system.py"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_system_is_clean(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    system = importlib.import_module(f"systems.{name}.system").system
    began = time.perf_counter()
    found = verify(system, folder=ROOT)
    took = time.perf_counter() - began
    with capsys.disabled():
        print(f"\nfreehold check {name}: {took:.2f} s")
    assert found == [], list(map(str, found))
