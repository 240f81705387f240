"""Freehold: systems in which every service owns its data outright.

Everything that a system needs is a name of this package; the rooms behind it are not for import. Names load on first
use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freehold.deploy.standalone import Inbox as Inbox
    from freehold.deploy.standalone import Outbox as Outbox
    from freehold.deploy.standalone import delivery as delivery
    from freehold.http.event_stream import EventStream as EventStream
    from freehold.identity.key_ring import KeyRing as KeyRing
    from freehold.identity.passwords import Passwords as Passwords
    from freehold.identity.refresh import RefreshState as RefreshState
    from freehold.identity.refresh import Verdict as Verdict
    from freehold.identity.refresh import hash_refresh_token as hash_refresh_token
    from freehold.identity.refresh import judge as judge
    from freehold.identity.refresh import new_refresh_token as new_refresh_token
    from freehold.identity.signatures import BodySignature as BodySignature
    from freehold.identity.signatures import InvalidSignature as InvalidSignature
    from freehold.identity.signatures import TimedSignature as TimedSignature
    from freehold.identity.tokens import TokenIssuer as TokenIssuer
    from freehold.identity.tokens import TokenVerifier as TokenVerifier
    from freehold.identity.verification import InvalidToken as InvalidToken
    from freehold.identity.verification import TokenExpired as TokenExpired
    from freehold.model.access import User as User
    from freehold.model.access import internal as internal
    from freehold.model.access import owner as owner
    from freehold.model.access import permission as permission
    from freehold.model.access import public as public
    from freehold.model.access import role as role
    from freehold.model.access import signature as signature
    from freehold.model.access import user as user
    from freehold.model.camel import CamelModel as CamelModel
    from freehold.model.columns import ExactDecimal as ExactDecimal
    from freehold.model.columns import Inet as Inet
    from freehold.model.columns import JsonDocument as JsonDocument
    from freehold.model.columns import Money as Money
    from freehold.model.columns import MoneyNumber as MoneyNumber
    from freehold.model.columns import Percent as Percent
    from freehold.model.columns import Point as Point
    from freehold.model.columns import Portable as Portable
    from freehold.model.columns import TimeOfDay as TimeOfDay
    from freehold.model.columns import Timestamp as Timestamp
    from freehold.model.columns import TimeTz as TimeTz
    from freehold.model.columns import UtcDateTime as UtcDateTime
    from freehold.model.columns import round_money as round_money
    from freehold.model.derived import Derived as Derived
    from freehold.model.errors import ConfigurationError as ConfigurationError
    from freehold.model.errors import DeclarationError as DeclarationError
    from freehold.model.errors import Unavailable as Unavailable
    from freehold.model.flags import Flag as Flag
    from freehold.model.ids import uuid7 as uuid7
    from freehold.model.listed import listed as listed
    from freehold.model.load import LoadAnswer as LoadAnswer
    from freehold.model.load import LoadAsk as LoadAsk
    from freehold.model.load import LoadMark as LoadMark
    from freehold.model.load import LoadNote as LoadNote
    from freehold.model.load import LoadPause as LoadPause
    from freehold.model.load import LoadPhase as LoadPhase
    from freehold.model.load import LoadReport as LoadReport
    from freehold.model.load import LoadScript as LoadScript
    from freehold.model.load import LoadShape as LoadShape
    from freehold.model.load import LoadShapes as LoadShapes
    from freehold.model.load import LoadStage as LoadStage
    from freehold.model.messages import Command as Command
    from freehold.model.messages import Event as Event
    from freehold.model.messages import Query as Query
    from freehold.model.points import Coordinates as Coordinates
    from freehold.model.points import PointColumn as PointColumn
    from freehold.model.points import metres_between as metres_between
    from freehold.model.points import within as within
    from freehold.model.ports import Clock as Clock
    from freehold.model.ports import DataFolder as DataFolder
    from freehold.model.ports import SystemClock as SystemClock
    from freehold.model.problem import Problem as Problem
    from freehold.model.problem import not_found as not_found
    from freehold.model.saga import Saga as Saga
    from freehold.model.saga import Step as Step
    from freehold.model.service import Retry as Retry
    from freehold.model.service import Service as Service
    from freehold.model.soft_refs import soft_ref as soft_ref
    from freehold.model.spelled import spelled as spelled
    from freehold.model.system import Gateway as Gateway
    from freehold.model.system import QueuePass as QueuePass
    from freehold.model.system import RateLimit as RateLimit
    from freehold.model.system import System as System
    from freehold.model.view import Change as Change
    from freehold.model.view import Drift as Drift
    from freehold.model.view import View as View
    from freehold.observe.metrics import counter as counter
    from freehold.observe.metrics import gauge as gauge
    from freehold.runtime.bulk import BulkInsert as BulkInsert
    from freehold.runtime.context import Context as Context
    from freehold.runtime.once import Once as Once
    from freehold.runtime.paging import After as After
    from freehold.runtime.paging import CamelListing as CamelListing
    from freehold.runtime.paging import Listing as Listing
    from freehold.runtime.paging import Page as Page
    from freehold.runtime.paging import Paging as Paging
    from freehold.runtime.paging import list_rows as list_rows
    from freehold.runtime.paging import page_of as page_of
    from freehold.runtime.transaction import Tx as Tx
    from freehold.runtime.work import Work as Work
    from freehold.stores.cache import Cache as Cache
    from freehold.stores.counters import Claim as Claim
    from freehold.stores.counters import Counted as Counted
    from freehold.stores.counters import Counters as Counters
    from freehold.stores.counters import Level as Level
    from freehold.stores.counters import Outcome as Outcome
    from freehold.stores.line import Line as Line
    from freehold.stores.line import Place as Place
    from freehold.stores.objects.store import Download as Download
    from freehold.stores.objects.store import ObjectInfo as ObjectInfo
    from freehold.stores.objects.store import Objects as Objects
    from freehold.stores.rate_limits import RateLimits as RateLimits
    from freehold.stores.store import open_store as open_store

_ROOMS = {
    "deploy.standalone": "Inbox Outbox delivery",
    "http.event_stream": "EventStream",
    "identity.key_ring": "KeyRing",
    "identity.passwords": "Passwords",
    "identity.refresh": "RefreshState Verdict hash_refresh_token judge new_refresh_token",
    "identity.signatures": "BodySignature InvalidSignature TimedSignature",
    "identity.tokens": "TokenIssuer TokenVerifier",
    "identity.verification": "InvalidToken TokenExpired",
    "model.access": "User internal owner permission public role signature user",
    "model.camel": "CamelModel",
    "model.columns": "ExactDecimal Inet JsonDocument Money MoneyNumber Percent Point Portable TimeOfDay TimeTz "
    "Timestamp UtcDateTime round_money",
    "model.errors": "ConfigurationError DeclarationError Unavailable",
    "model.flags": "Flag",
    "model.ids": "uuid7",
    "model.load": "LoadAnswer LoadAsk LoadMark LoadNote LoadPause LoadPhase LoadReport "
    "LoadScript LoadShape LoadShapes LoadStage",
    "model.messages": "Command Event Query",
    "model.listed": "listed",
    "model.points": "Coordinates PointColumn metres_between within",
    "model.ports": "Clock DataFolder SystemClock",
    "model.problem": "Problem not_found",
    "model.saga": "Saga Step",
    "model.service": "Retry Service",
    "model.soft_refs": "soft_ref",
    "model.spelled": "spelled",
    "model.system": "Gateway QueuePass RateLimit System",
    "model.derived": "Derived",
    "model.view": "Change Drift View",
    "observe.metrics": "counter gauge",
    "runtime.bulk": "BulkInsert",
    "runtime.context": "Context",
    "runtime.once": "Once",
    "runtime.paging": "After CamelListing Listing Page Paging list_rows page_of",
    "runtime.transaction": "Tx",
    "runtime.work": "Work",
    "stores.cache": "Cache",
    "stores.counters": "Claim Counted Counters Level Outcome",
    "stores.line": "Line Place",
    "stores.rate_limits": "RateLimits",
    "stores.store": "open_store",
    "stores.objects.store": "Download ObjectInfo Objects",
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names.split()}

__version__ = "0.1.0"
__all__ = sorted(_HOMES)  # noqa: PLE0605 - made from the table above


def __getattr__(name: str) -> Any:
    room = _HOMES.get(name)
    if room is None:
        raise AttributeError(f"module 'freehold' has no attribute {name!r}")
    return getattr(import_module(f"freehold.{room}"), name)
