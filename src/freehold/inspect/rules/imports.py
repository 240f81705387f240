"""Between services' folders only `contract` is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.source import Module, called
from freehold.inspect.survey import Survey


def import_beyond_contract(survey: Survey) -> Iterator[Finding]:
    packages = survey.source.packages
    for service in survey.services:
        if service.name not in packages:
            continue
        others = {package: name for name, package in packages.items() if name != service.name}
        for module in survey.source.modules(service):
            for imported, node in _imports(module):
                beyond = _beyond_contract(imported, others)
                if beyond:
                    owner, wanted = beyond
                    yield Finding(
                        module.name,
                        f"imports {wanted}, and only {owner}.contract may be imported from outside {owner}",
                        f"Put what it needs into {owner}'s contract: an event, a command or a query",
                        module.place(node),
                    )


def _beyond_contract(imported: str, others: dict[str, str]) -> tuple[str, str] | None:
    """The service whose inside is imported, and what of it."""
    for package, name in others.items():
        if imported == package or imported.startswith(f"{package}."):
            inner = imported[len(package) + 1 :]
            return None if inner.split(".")[0] == "contract" else (name, imported)
    return None


def _imports(module: Module) -> Iterator[tuple[str, ast.stmt | ast.expr]]:
    """The dotted name of everything that the module imports, wherever in it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{_origin(module, node)}.{alias.name}", node
        elif isinstance(node, ast.Call):
            name = _imported_at_run_time(node)
            if name:
                yield name, node


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *filter(None, [node.module])])


def _imported_at_run_time(node: ast.Call) -> str | None:
    if called(node) not in ("import_module", "__import__") or not node.args:
        return None
    first = node.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


RULES = (
    Rule(
        "FH020",
        "import-beyond-contract",
        "error",
        "Of another service only its contract is imported.",
        import_beyond_contract,
    ),
)
