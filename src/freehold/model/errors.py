"""What goes wrong before anything runs: a declaration or a setting that cannot be right."""

from __future__ import annotations


class DeclarationError(Exception):
    """A declaration that contradicts itself: names the declaration, the problem and the remedy."""

    def __init__(self, declaration: str, problem: str, remedy: str) -> None:
        super().__init__(f"{declaration}: {problem}. {remedy}")
        self.declaration = declaration
        self.problem = problem
        self.remedy = remedy


class ConfigurationError(Exception):
    """A setting that is missing or wrong: names the setting, the problem and the remedy."""

    def __init__(self, setting: str, problem: str, remedy: str) -> None:
        super().__init__(f"{setting}: {problem}. {remedy}")
        self.setting = setting
        self.problem = problem
        self.remedy = remedy


class Unavailable(Exception):
    """Something this process depends on does not answer now: a database, a bus, another service. Trying later may
    work.
    """


class DatabaseUnavailable(Unavailable):
    """No connection to this service's own database can be had now."""


class BusUnavailable(Unavailable):
    """The bus takes nothing now; what was to be published stays in the outbox and costs no retry."""


class StoreUnavailable(Unavailable):
    """The store takes nothing now: what was asked of it may or may not have happened."""


class Refused(Exception):
    """The bus cannot take this one message (too large, no such topic): others may pass."""


class NewerVersion(Exception):
    """A message of a version that this process does not know yet; one that was deployed later does."""

    def __init__(self, name: str, version: int, known: int) -> None:
        super().__init__(f"{name} is of version {version}, and this process knows {known} at most: deploy it anew")


class NoUpcaster(Exception):
    """A message of a former version of which nothing says what it means today."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"{name} is of version {version}, of which its class has no upcaster: add upcast({version})")
