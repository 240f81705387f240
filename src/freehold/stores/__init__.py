"""Small stores behind ports: cache, rate limits, live counters, waiting lines; in memory or in Redis."""

from freehold.stores.cache import Cache
from freehold.stores.counters import Claim, Counted, Counters, Level, Outcome
from freehold.stores.line import Line, Place
from freehold.stores.rate_limits import RateLimits, Verdict
from freehold.stores.store import Shelf, Store, open_store

__all__ = [
    "Cache",
    "Claim",
    "Counted",
    "Counters",
    "Level",
    "Line",
    "Outcome",
    "Place",
    "RateLimits",
    "Shelf",
    "Store",
    "Verdict",
    "open_store",
]
