"""What every route does, however its parameters were read: one unit of work, committed before the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from freehold.http.access import needs_row, require_owner
from freehold.http.answers import Answers
from freehold.http.call import Call
from freehold.model.access import Access, User
from freehold.model.errors import DeclarationError
from freehold.model.routes import Route
from freehold.runtime.host import Host
from freehold.runtime.injection import resolver
from freehold.runtime.provided import parameters
from freehold.runtime.transaction import Tx
from freehold.runtime.work import Work


class Action:
    """A route's handler with what the toolkit fills in.

    Args:
        route: the declaration.
        host: the running service.
        where: how messages name the route.
    """

    def __init__(self, route: Route, host: Host, where: str) -> None:
        self.answers = Answers(route.handler, route.status_code)
        self._route = route
        self._host = host
        wanted = parameters(route.handler)
        _check_caller(wanted, route.access, where)
        found = {name: resolver(kind, host.provided) for name, kind in wanted.items()}
        self._filled: list[tuple[str, Callable[[Any], Any]]] = [(n, fill) for n, fill in found.items() if fill]
        self.open = {name: kind for name, kind in wanted.items() if found[name] is None}
        """The parameters that come from the request, with their annotations."""
        self._own_transactions = Work in wanted.values()
        if self._own_transactions and Tx in wanted.values():
            raise DeclarationError(where, "takes both Tx and Work", "Take Work to make its own transactions, else Tx")

    async def perform(self, call: Call, given: Mapping[str, Any]) -> Response:
        """Run the handler in a transaction, serialise its answer, commit, and only then give the response."""
        work = self._host.work(call.context)
        if self._own_transactions:
            if needs_row(self._route.access):
                async with work.transaction(readonly=True) as tx:
                    await self._check_owner(tx, call, given)
            return self.answers.response(await self._call(given, work))

        async def attempt(tx: Tx) -> Response:
            if needs_row(self._route.access):
                await self._check_owner(tx, call, given)
            return self.answers.response(await self._call(given, tx))

        return await work.run(attempt, readonly=not self._route.writes)

    async def _call(self, given: Mapping[str, Any], unit: Tx | Work) -> Any:
        return await self._route.handler(**given, **{name: fill(unit) for name, fill in self._filled})

    async def _check_owner(self, tx: Tx, call: Call, given: Mapping[str, Any]) -> None:
        access = self._route.access
        assert access is not None
        key = given.get(access.param)
        await require_owner(access, tx, call.params[access.param] if key is None else key)


def _check_caller(wanted: Mapping[str, Any], access: Access | None, where: str) -> None:
    nobody_certain = access is not None and access.kind in ("public", "internal", "signature")
    if nobody_certain and User in wanted.values():
        raise DeclarationError(where, f"takes a User, but {access} lets in requests without one", "Take User | None")
