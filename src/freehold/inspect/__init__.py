"""Looking at a system without running it: what it declares, where its declarations do not fit together, and whether
its databases keep its services apart."""

from freehold.inspect.check import check
from freehold.inspect.describe import describe
from freehold.inspect.finding import Rule, Violation
from freehold.inspect.isolation import ISOLATION_RULES, check_isolation
from freehold.inspect.rules import RULES

__all__ = ["ISOLATION_RULES", "RULES", "Rule", "Violation", "check", "check_isolation", "describe"]
