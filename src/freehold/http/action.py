"""What every route does, however its parameters were read: one unit of work, committed before the answer."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from starlette.responses import Response

from freehold.http.access import needs_row, require_owner
from freehold.http.answers import JSON, Answers
from freehold.http.call import Call
from freehold.http.problems import PROBLEM_JSON
from freehold.model.access import Access, User
from freehold.model.errors import DeclarationError
from freehold.model.routes import Route
from freehold.runtime.host import Host
from freehold.runtime.injection import resolver
from freehold.runtime.once import Once, Stored, fingerprint
from freehold.runtime.provided import parameters
from freehold.runtime.transaction import Tx
from freehold.runtime.work import Work

_REPLAYED = "Idempotent-Replayed"


class Signature:
    """What a handler takes and answers, as its annotations say.

    Args:
        route: the declaration.
        provided: what the service gets by type.
        where: how messages name the route.

    Attributes:
        open: the parameters that come from the request, with their annotations.
        fills: what the toolkit fills the others with.
        once: the parameter that takes the idempotency key, if any.
        own_transactions: whether it takes Work instead of Tx.
        answers: how its answers are serialised.
    """

    def __init__(self, route: Route, provided: Container[Any], where: str) -> None:
        self.answers = Answers(route.handler, route.status_code)
        wanted = parameters(route.handler)
        _check_caller(wanted, route.access, where)
        self.once = next((name for name, kind in wanted.items() if kind in (Once, Once | None)), None)
        fills = {name: resolver(kind, provided) for name, kind in wanted.items() if name != self.once}
        self.fills: list[tuple[str, Callable[[Any], Any]]] = [(n, fill) for n, fill in fills.items() if fill]
        self.open = {name: wanted[name] for name, fill in fills.items() if fill is None}
        self.own_transactions = Work in wanted.values()
        if self.own_transactions and Tx in wanted.values():
            raise DeclarationError(where, "takes both Tx and Work", "Take Work to make its own transactions, else Tx")


class Action:
    """A route's handler with what the toolkit fills in.

    Args:
        route: the declaration.
        host: the running service.
        where: how messages name the route.
    """

    def __init__(self, route: Route, host: Host, where: str) -> None:
        self.signature = Signature(route, host.provided, where)
        self._route = route
        self._host = host
        self._row_rule = route.access if route.access is not None and needs_row(route.access) else None

    async def perform(self, call: Call, given: Mapping[str, Any]) -> Response:
        """Run the handler in a transaction, serialise its answer, commit, and only then give the response.

        With an idempotency key a repeated request gets the first answer. A handler that takes `Once` sees to it itself.
        """
        work = self._host.work(call.context)
        once = None
        if call.key is not None:
            once = Once(
                call.sender, call.key, fingerprint(call.method, call.target, call.body), self._route.status_code
            )
        if self.signature.once is not None:
            response = await self._run(work, call, {**given, self.signature.once: once})
            if once is not None and once.replayed:
                response.headers[_REPLAYED] = "true"
            return response
        if once is None:
            return await self._run(work, call, given)
        return await self._run_once(work, once, call, given)

    async def _run(self, work: Work, call: Call, given: Mapping[str, Any]) -> Response:
        if not self.signature.own_transactions:
            return await work.run(lambda tx: self._in(tx, call, given), readonly=not self._route.writes)
        if self._row_rule is not None:
            async with work.transaction(readonly=True) as tx:
                await self._check_owner(self._row_rule, tx, call, given)
        return self.signature.answers.response(await self._call(given, work))

    async def _in(self, tx: Tx, call: Call, given: Mapping[str, Any]) -> Response:
        if self._row_rule is not None:
            await self._check_owner(self._row_rule, tx, call, given)
        return self.signature.answers.response(await self._call(given, tx))

    async def _run_once(self, work: Work, once: Once, call: Call, given: Mapping[str, Any]) -> Response:
        made: Response | None = None

        async def in_steps() -> Stored:
            nonlocal made
            made = await self._run(work, call, given)
            return _stored(made)

        async def in_one(tx: Tx) -> Stored:
            nonlocal made
            made = await self._in(tx, call, given)
            return _stored(made)

        records = self._host.idempotency
        if self.signature.own_transactions:
            stored = await records.answer_in_steps(work, once, in_steps)
        else:
            stored = await records.answer(work, once, in_one)
        if made is not None and not once.replayed:
            return made
        kind = PROBLEM_JSON if stored.status >= 400 else JSON
        return Response(stored.body, stored.status, {_REPLAYED: "true"}, kind)

    async def _call(self, given: Mapping[str, Any], unit: Tx | Work) -> Any:
        return await self._route.handler(**given, **{name: fill(unit) for name, fill in self.signature.fills})

    @staticmethod
    async def _check_owner(access: Access, tx: Tx, call: Call, given: Mapping[str, Any]) -> None:
        key = given.get(access.param)
        await require_owner(access, tx, call.params[access.param] if key is None else key)


def _stored(response: Response) -> Stored:
    body = getattr(response, "body", None)
    if not isinstance(body, bytes):
        raise TypeError("a streamed answer cannot be kept for an Idempotency-Key: declare idempotency='none'")
    return Stored(response.status_code, body)


def _check_caller(wanted: Mapping[str, Any], access: Access | None, where: str) -> None:
    nobody_certain = access is not None and access.kind in ("public", "internal", "signature")
    if nobody_certain and User in wanted.values():
        raise DeclarationError(where, f"takes a User, but {access} lets in requests without one", "Take User | None")
