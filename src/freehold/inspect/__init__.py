"""Looking at a system without running it: what it declares, where its declarations do not fit together, and whether
its databases keep its services apart."""

from freehold.inspect.baseline import Baseline
from freehold.inspect.check import check, verify
from freehold.inspect.describe import describe
from freehold.inspect.finding import Rule, Violation
from freehold.inspect.isolation import ISOLATION_RULES, check_isolation
from freehold.inspect.pages import page
from freehold.inspect.rules import RULES
from freehold.inspect.sarif import sarif
from freehold.inspect.settings import ALL_RULES, CheckSettings

__all__ = [
    "ALL_RULES",
    "ISOLATION_RULES",
    "RULES",
    "Baseline",
    "CheckSettings",
    "Rule",
    "Violation",
    "check",
    "check_isolation",
    "describe",
    "page",
    "sarif",
    "verify",
]
