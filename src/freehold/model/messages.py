"""What services say to each other: events (it happened), commands (do it), queries (tell me)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import from_json, to_json

from freehold.model.envelope import Envelope
from freehold.model.errors import DeclarationError, NewerVersion, NoUpcaster

R = TypeVar("R")
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""From the JSON data of one version to that of the next."""
NAME = re.compile(r"[a-z][a-z0-9_]*([.-][a-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """How a message travels: its name on the wire, its topic, and the field whose value keeps it in order."""

    name: str
    topic: str
    key: str
    version: int


class Message(BaseModel):
    """The common ground of events and commands: immutable, typed data that goes through the outbox."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    __message__: ClassVar[MessageSpec]
    __upcasters__: ClassVar[dict[int, Upcaster]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()  # the keywords are for pydantic's own hook below, which sees the fields

    @classmethod
    def _declare(cls, spec: MessageSpec) -> None:
        where = f"{cls.__module__}.{cls.__qualname__}"
        if not NAME.fullmatch(spec.name):
            raise DeclarationError(
                where, f"name {spec.name!r} is not dotted lower-case words", "Call it like 'order.placed'"
            )
        if spec.version < 1:
            raise DeclarationError(where, f"version {spec.version} is below 1", "Versions count from 1")
        _check_fields(cls, where, taken=("key", "read", "upcast"))
        if spec.key not in cls.model_fields:
            raise DeclarationError(
                where,
                f"key {spec.key!r} is not one of its fields",
                f"Name one of: {', '.join(cls.model_fields)}",
            )
        cls.__message__ = spec
        cls.__upcasters__ = {}

    @property
    def key(self) -> str:
        """The partition key: messages with the same one are handled in order."""
        return str(getattr(self, self.__message__.key))

    @classmethod
    def upcast(cls, version: int) -> Callable[[Upcaster], Upcaster]:
        """Say what a former version means today: the function turns its data into that of the version after it.

            @OrderPlaced.upcast(1)
            def with_currency(data: dict[str, Any]) -> dict[str, Any]:
                return {**data, "currency": "THB"}

        It is given plain JSON data and must depend on nothing else: every consumer reads by it, at any time. Several
        follow each other, from 1 to 2 to 3.

        Args:
            version: the one it reads.

        Raises:
            DeclarationError: the version is not a former one, or has an upcaster already.
        """
        where, current = f"{cls.__module__}.{cls.__qualname__}", cls.__message__.version
        if not 1 <= version < current:
            raise DeclarationError(
                where,
                f"upcast({version}) is not of a version before {current}",
                "Raise version=, or correct the number",
            )
        if version in cls.__upcasters__:
            raise DeclarationError(where, f"has two upcasters of version {version}", "Remove one")

        def register(function: Upcaster) -> Upcaster:
            cls.__upcasters__[version] = function
            return function

        return register

    @classmethod
    def read(cls, envelope: Envelope) -> Self:
        """The message in an envelope, whichever version of it was sent.

        Raises:
            ValidationError: pydantic's; its data does not fit.
            NoUpcaster: it is of a former version, and nothing says what that means today.
            NewerVersion: it is of a version that is not declared here yet.
        """
        current = cls.__message__.version
        if envelope.version == current:
            return cls.model_validate_json(envelope.payload)
        if envelope.version > current:
            raise NewerVersion(cls.__message__.name, envelope.version, current)
        data = from_json(envelope.payload)
        for version in range(envelope.version, current):
            if version not in cls.__upcasters__:
                raise NoUpcaster(cls.__message__.name, version)
            data = cls.__upcasters__[version](data)
        return cls.model_validate_json(to_json(data))


class Event(Message):
    """Something that happened, published by the service that owns it.

        class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
            order_id: UUID
            total: Money

    Args:
        name: dotted lower-case words, unique in a system.
        topic: where it is published; events of one key keep their order within a topic.
        key: the field that names the aggregate it is about.
        version: raised when its shape changes so that former readers cannot read it; see `upcast`.
    """

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        name: str | None = None,
        topic: str | None = None,
        key: str | None = None,
        version: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if name is None:
            return  # a common base of several events
        if topic is None or key is None:
            raise DeclarationError(
                f"{cls.__module__}.{cls.__qualname__}",
                "has a name but no topic or key",
                "Give topic=… and key=…",
            )
        cls._declare(MessageSpec(name, topic, key, version))


class Query(BaseModel, Generic[R]):
    """A question that another service answers at once, with the type of its answer.

        class GetOrder(Query[OrderInfo], path="/internal/orders/{order_id}"):
            order_id: UUID

    Args:
        path: the internal route that carries it between processes; fields named in it travel in the path, the others as
            query parameters (GET) or as the JSON body. A field with one possible value, `entity: Literal["users"] =
            "users"`, tells queries apart that share a path.
        method: the HTTP method.
        timeout: seconds that the whole call may take, retries included.
        idempotent: whether it may be sent again after a failure that leaves its fate unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    __query__: ClassVar[QuerySpec]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()  # the keywords are for pydantic's own hook below, which sees the fields

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        path: str | None = None,
        method: str = "GET",
        timeout: float = 2.0,
        idempotent: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if path is None:
            return
        where = f"{cls.__module__}.{cls.__qualname__}"
        _check_fields(cls, where, taken=("answer",))
        unknown = set(re.findall(r"{(\w+)}", path)) - set(cls.model_fields)
        if unknown:
            raise DeclarationError(where, f"path names {sorted(unknown)}, which are no fields", "Add the fields")
        cls.__query__ = QuerySpec(
            cls.__name__, path, _route(cls, path), method, timeout, idempotent, _answer_type(cls, where)
        )

    @classmethod
    def answer(cls) -> TypeAdapter[R]:
        """Validates and serialises answers."""
        return cls.__query__.answer


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """How a query travels between processes; `route` is its path with what can only have one value filled in."""

    name: str
    path: str
    route: str
    method: str
    timeout: float
    idempotent: bool
    answer: TypeAdapter[Any]


class Command(Message):
    """An order to one service, sent through the outbox and handled once; its outcome comes back as an event.

        class ReserveStock(Command, name="stock.reserve", key="order_id"):
            order_id: UUID

    Args:
        name: dotted lower-case words, unique in a system.
        key: the field that keeps it in order with others.
        topic: `commands.{name's first word}` unless given.
    """

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        name: str | None = None,
        key: str | None = None,
        topic: str | None = None,
        version: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if name is None:
            return
        if key is None:
            raise DeclarationError(f"{cls.__module__}.{cls.__qualname__}", "has a name but no key", "Give key=…")
        cls._declare(MessageSpec(name, topic or f"commands.{name.split('.')[0]}", key, version))


def _route(query: type[BaseModel], path: str) -> str:
    for name, field in query.model_fields.items():
        if get_origin(field.annotation) is Literal and len(values := get_args(field.annotation)) == 1:
            path = path.replace(f"{{{name}}}", str(values[0]))
    return path


def _check_fields(cls: type[BaseModel], where: str, *, taken: tuple[str, ...]) -> None:
    """Raises DeclarationError for a field that an attribute of every message hides."""
    for name in taken:
        if name in cls.model_fields:
            raise DeclarationError(
                where,
                f"has a field {name!r}, and {name} is something else in every message of its kind",
                f"Call the field otherwise, for instance 'entry_{name}'",
            )


def _answer_type(query: type[BaseModel], where: str) -> TypeAdapter[Any]:
    for base in query.__mro__:
        origin = getattr(base, "__pydantic_generic_metadata__", None)
        if origin and origin["origin"] is Query and origin["args"]:
            return TypeAdapter(origin["args"][0])
    for base in getattr(query, "__orig_bases__", ()):
        if get_args(base):
            return TypeAdapter(get_args(base)[0])
    raise DeclarationError(where, "does not say what it is answered with", "Derive it from Query[AnswerType]")
