"""The reference says everything that the code has, and nothing that it has not."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from freehold.cli.app import app
from freehold.deploy.config import Deployment, ServiceDeployment
from freehold.deploy.settings import TOOLKIT
from freehold.inspect import ALL_RULES, CheckSettings
from freehold.model.saga import duration
from freehold.model.service import FRAMEWORK_TABLES
from freehold.observe.metrics import METRICS
from freehold.runtime.faultpoints import POINTS
from freehold.runtime.tables import FrameworkTables
from tests.docs.documents import DOCS, ROOT

REFERENCE = DOCS / "reference"
FOR_DEVELOPERS = {f"FREEHOLD_TEST_{server}" for server in ("POSTGRES", "RABBITMQ", "KAFKA", "REDIS", "S3")} | {
    "FREEHOLD_MATRIX"
}
CODE = re.compile(r"`([^`]+)`")


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


def sections(text: str) -> dict[str, str]:
    """What stands below each heading of the second level."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it; groups are followed."""
    inner: dict[str, Any] | None = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    for name, each in (inner or {}).items():
        yield from leaves(each, (*path, name))


def all_commands() -> list[tuple[tuple[str, ...], Any]]:
    return list(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize(
    ("path", "command"), all_commands(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_and_option_is_there(path: tuple[str, ...], command: Any) -> None:
    text = page("command-line")
    found = [(heading, body) for heading, body in sections(text).items() if heading.startswith(f"freehold {path[0]}")]
    assert found, f"freehold {path[0]} has no section"
    heading, body = found[0]
    assert all(word in heading + body for word in path)
    for parameter in command.params:
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            shown = (parameter.metavar or parameter.name or "").strip("[]")
            assert shown.upper() in heading + body, f"{shown} is missing"
        else:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert option in text, f"{' '.join(path)} {option} is missing"


def test_every_option_that_is_there_exists() -> None:
    options = {
        option for _, command in all_commands() for p in command.params for option in (*p.opts, *p.secondary_opts)
    }
    printed = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page("command-line")))
    assert printed - options - {"--version", "--help"} == set()


@pytest.mark.parametrize("model", [Deployment, ServiceDeployment])
def test_every_key_of_a_deployment_is_there(model: type[BaseModel]) -> None:
    keys = set(re.findall(r"^\| `(\w+)` \|", page("configuration"), re.MULTILINE))
    assert set(model.model_fields) <= keys
    assert keys <= {*Deployment.model_fields, *ServiceDeployment.model_fields, *CheckSettings.model_fields} | {
        key for key in keys if key.startswith("FREEHOLD_")
    }


def test_every_setting_of_the_toolkit_is_there_with_its_default() -> None:
    rows = re.findall(
        r"^\| (\w+) \| (\w+) \| (\S+) \|", sections(page("configuration"))["Keeping and waiting"], re.MULTILINE
    )
    printed = {(section, name): default for section, name, default in rows if section in TOOLKIT}
    fields: dict[tuple[str, str], Any] = {
        (section, field.name): field.default for section, kind in TOOLKIT.items() for field in dataclasses.fields(kind)
    }
    assert printed.keys() == fields.keys()
    for key, default in fields.items():
        said = printed[key]
        assert (duration(said) if isinstance(default, timedelta) else type(default)(said)) == default, key


def test_every_variable_is_there_and_no_other() -> None:
    sources = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    read = {name.rstrip("_") for text in sources for name in re.findall(r"FREEHOLD_[A-Z][A-Z_]*", text)}
    keys = {f"FREEHOLD_{name.upper()}" for name in Deployment.model_fields}
    text = page("configuration")
    printed = {name.rstrip("_") for name in re.findall(r"FREEHOLD_[A-Z_]+", text)}
    examples = {name for name in read | printed if name.startswith("FREEHOLD_SERVICES__")}
    assert (read | keys) - FOR_DEVELOPERS - examples - printed == set()
    assert printed - read - keys - examples == set()


def test_the_index_of_rules_has_every_rule_and_no_other() -> None:
    rows = re.findall(r"^\| \[(\S+ \S+)\]\(rules/(\w+)\.md\) \| (\w+) \| (.+) \|$", page("check-rules"), re.MULTILINE)
    rules = sorted(ALL_RULES, key=lambda rule: rule.code)
    assert rows == [(f"{rule.code} {rule.name}", rule.code, rule.severity, rule.summary) for rule in rules]


def test_every_key_of_the_check_is_there() -> None:
    body = sections(page("configuration"))["The check"]
    assert set(re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE)) == set(CheckSettings.model_fields)


def test_every_metric_is_there_with_its_kind_and_labels() -> None:
    rows = re.findall(r"^\| `((?:http|freehold)_\w+)` \| (\w+) \| ([\w, ]+) \|", page("metrics"), re.MULTILINE)
    printed = {name: (kind, tuple(labels.split(", "))) for name, kind, labels in rows}
    registered = {}
    for collector in METRICS.registry._collector_to_names:
        for metric in collector.collect() if not hasattr(collector, "describe") else collector.describe():
            if metric.name.startswith(("http_", "freehold_")):
                name = f"{metric.name}_total" if metric.type == "counter" else metric.name
                registered[name] = (metric.type, getattr(collector, "_labelnames", ()))
    assert printed == registered


def test_every_framework_table_is_there_with_its_columns() -> None:
    found = sections(page("framework-tables"))
    tables = FrameworkTables("postgresql").metadata.tables
    assert set(tables) == set(FRAMEWORK_TABLES)
    for name in FRAMEWORK_TABLES:
        columns = found[name].partition("Columns: ")[2]
        assert CODE.findall(columns) == [column.name for column in tables[name].columns]


def test_every_crash_point_is_there() -> None:
    points = CODE.findall(
        "\n".join(re.findall(r"^\| (`.+?) \|", sections(page("guarantees"))["Crash points"], re.MULTILINE))
    )
    assert sorted(points) == sorted(POINTS)


def test_every_guarantee_names_tests_that_exist() -> None:
    suites = [
        path.read_text() for folder in ("conformance", "faults") for path in (ROOT / "tests" / folder).rglob("*.py")
    ]
    defined = {name for text in suites for name in re.findall(r"^\s*(?:async )?def (test_\w+)", text, re.MULTILINE)}
    found = sections(page("guarantees"))
    for number in range(1, 11):
        body = next(body for heading, body in found.items() if heading.startswith(f"G{number} "))
        assert re.findall(r"`test_\w+`", body), f"G{number} names no test"
    named = set(re.findall(r"`(test_\w+)`", page("guarantees")))
    assert named - defined == set()


def test_the_glossary_is_sorted() -> None:
    words = re.findall(r"^\| (.+?) \|", page("glossary"), re.MULTILINE)[2:]
    assert words == sorted(words, key=str.lower)


def test_metrics_that_nothing_sets_are_named() -> None:
    """A method of METRICS that is called from nowhere stands for metrics that a reader would look at in vain."""
    set_by = {
        "published": {"freehold_events_published_total"},
        "handled": {"freehold_events_handled_total", "freehold_commit_to_handler_seconds"},
        "failed": {"freehold_events_failed_total"},
        "coalesced": {"freehold_coalesced_batch_size"},
        "view_lag": {"freehold_view_lag_seconds"},
        "backlog": {"freehold_outbox_pending"},
        "called": {"freehold_call_seconds"},
        "breaker": {"freehold_breaker_state"},
        "saga": {"freehold_saga_total"},
        "job_ran": {"freehold_job_runs_total"},
    }
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    silent = {name for method, names in set_by.items() if f"METRICS.{method}(" not in sources for name in names}
    sentence = page("metrics").partition("set by nothing yet:")[2].partition("\n\n")[0]
    assert set(CODE.findall(sentence)) == silent, "correct the sentence in docs/reference/metrics.md"
