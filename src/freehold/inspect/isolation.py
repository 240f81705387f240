"""Whether the databases keep a system's services apart: tried with each service's own credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from freehold.engines.intrusion import Breach, Home, Kind, Refused, intrusions, look
from freehold.inspect.finding import Finding, Rule, Violation, violations
from freehold.model.errors import ConfigurationError
from freehold.model.system import System

Breaches = Sequence[Breach]
_FAR_REACHING = "Let the administrator take it away, and give the service a role of its own by `freehold migrate`"


async def check_isolation(system: System, urls: Mapping[str, str]) -> list[Violation]:
    """Every way in which one service could reach another's tables; empty when there is none.

    Each service's own credentials try to get into every other database and to read, write and change every table of
    every other service, the toolkit's own included. Nothing is changed by that, even where it is allowed.

    Args:
        system: whose services.
        urls: each service's database with its credentials, as `open_databases` has them.

    Raises:
        ConfigurationError: a database cannot be reached, or has no tables yet, so that nothing would be proved.
    """
    homes = [await _home(system, name, url) for name, url in urls.items()]
    return violations(ISOLATION_RULES, await intrusions(homes))


async def _home(system: System, name: str, url: str) -> Home:
    key = f"services.{name}.database"
    try:
        home = await look(name, url)
    except Refused as error:
        raise ConfigurationError(key, f"its own account is refused ({error})", "Run `freehold migrate` first") from None
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ConfigurationError(key, f"cannot be used ({why})", "Start its server, or correct the address") from error
    declared = next(service for service in system.services if service.name == name).metadata.tables
    if not home.tables or (missing := declared.keys() - home.tables.keys()):
        what = f"has no table {', '.join(sorted(missing))}" if home.tables else "has no tables"
        raise ConfigurationError(key, what, "Run `freehold migrate` first: nothing is proved without them")
    return home


def _of(kind: Kind, breaches: Breaches) -> Iterator[Breach]:
    return (breach for breach in breaches if breach.kind == kind)


def place_of_two(breaches: Breaches) -> Iterator[Finding]:
    for each in _of("shared", breaches):
        yield Finding(
            f"service {each.intruder}",
            f"has its tables where {each.owner} has {_listed(each.rights)}: both are in {each.what}",
            f"Give one of them a place of its own in services.{each.intruder}.database",
        )


def database_entered(breaches: Breaches) -> Iterator[Finding]:
    for each in _of("entered", breaches):
        yield Finding(
            f"service {each.intruder}",
            f"gets into {each.owner}'s database {each.what} with its own credentials",
            f"REVOKE CONNECT ON DATABASE {each.what} FROM PUBLIC, and from its role",
        )


def table_reached(breaches: Breaches) -> Iterator[Finding]:
    for each in _of("table", breaches):
        yield Finding(
            f"service {each.intruder}",
            f"has {_listed(each.rights)} on {each.owner}'s table {each.what}",
            f"REVOKE ALL ON {each.what} from its account, from PUBLIC or from the role that passes it on",
        )


def namespace_reached(breaches: Breaches) -> Iterator[Finding]:
    for each in _of("namespace", breaches):
        whose = f"{each.owner}'s {each.what}" if each.owner else f"{each.what}, which services share"
        yield Finding(
            f"service {each.intruder}",
            f"has {_listed(each.rights)} on {whose}",
            f"REVOKE ALL ON {each.what} from its account, from PUBLIC or from the role that passes it on",
        )


def account_too_mighty(breaches: Breaches) -> Iterator[Finding]:
    for each in _of("account", breaches):
        whose = f"{each.owner}'s account {each.what}" if each.owner else f"the account {each.what}"
        yield Finding(f"service {each.intruder}", f"has {_listed(each.rights)} by {whose}", _FAR_REACHING)


def _listed(rights: Sequence[str]) -> str:
    return ", ".join(rights)


ISOLATION_RULES: tuple[Rule[Breaches], ...] = (
    Rule("FH080", "place-of-two", "error", "A service's tables are in a place of their own.", place_of_two),
    Rule("FH081", "database-entered", "error", "No service gets into another's database.", database_entered),
    Rule("FH082", "table-reached", "error", "A service has no right to another's table.", table_reached),
    Rule(
        "FH083",
        "namespace-reached",
        "error",
        "A service has no right to another's schema, or to what several share.",
        namespace_reached,
    ),
    Rule(
        "FH084", "account-too-mighty", "error", "A service's account can do no more than it needs.", account_too_mighty
    ),
)
