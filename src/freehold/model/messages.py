"""What services say to each other: events (it happened), commands (do it), queries (tell me)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter

from freehold.model.envelope import Envelope
from freehold.model.errors import DeclarationError

R = TypeVar("R")
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
        _check_fields(cls, where, taken=("key", "read"))
        if spec.key not in cls.model_fields:
            raise DeclarationError(
                where,
                f"key {spec.key!r} is not one of its fields",
                f"Name one of: {', '.join(cls.model_fields)}",
            )
        cls.__message__ = spec

    @property
    def key(self) -> str:
        """The partition key: messages with the same one are handled in order."""
        return str(getattr(self, self.__message__.key))

    @classmethod
    def read(cls, envelope: Envelope) -> Self:
        """The message in an envelope. Raises pydantic's ValidationError when its data does not fit."""
        return cls.model_validate_json(envelope.payload)


class Event(Message):
    """Something that happened, published by the service that owns it.

        class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"):
            order_id: UUID
            total: Money

    Args:
        name: dotted lower-case words, unique in a system.
        topic: where it is published; events of one key keep their order within a topic.
        key: the field that names the aggregate it is about.
        version: raised when its shape changes.
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
