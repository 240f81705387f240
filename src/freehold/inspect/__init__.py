"""Looking at a system without running it: what it declares, and where its declarations do not fit together."""

from freehold.inspect.check import check
from freehold.inspect.describe import describe
from freehold.inspect.finding import Rule, Violation
from freehold.inspect.rules import RULES

__all__ = ["RULES", "Rule", "Violation", "check", "describe"]
