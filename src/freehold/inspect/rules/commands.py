"""Commands: each has one handler in the whole system."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.source import Module
from freehold.inspect.survey import Survey
from freehold.model.messages import Command


def command_without_handler(survey: Survey) -> Iterator[Finding]:
    for service, saga in survey.sagas():
        for step in saga.steps:
            for action in (step.do, step.undo):
                if isinstance(action, type) and issubclass(action, Command) and not _handlers(survey, action):
                    yield Finding(
                        f"{service.name} saga {saga.name}, step {step.name!r}",
                        f"sends {action.__message__.name}, which no service carries out",
                        f"Handle it with @service.handles({action.__name__}) in the service that is to do it",
                        survey.source.of_call("Step", step.name, service),
                    )

    modules = {module.path: module for service in survey.services for module in survey.source.modules(service)}
    for module in modules.values():
        for node, command in _made(module):
            if not _handlers(survey, command):
                yield Finding(
                    module.name,
                    f"makes {command.__message__.name}, which no service carries out",
                    f"Handle it with @service.handles({command.__name__}) in the service that is to do it",
                    module.place(node),
                )


def _made(module: Module) -> Iterator[tuple[ast.Call, type[Command]]]:
    """Each place where the file makes a command, as `tx.send(Command(…))` does, by a name that it imported."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            made = module.value(node.func)
            if isinstance(made, type) and issubclass(made, Command) and hasattr(made, "__message__"):
                yield node, made


def command_with_two_handlers(survey: Survey) -> Iterator[Finding]:
    messages = (message for service in survey.services for message in service.consumes())
    for command in dict.fromkeys(message for message in messages if issubclass(message, Command)):
        handlers = _handlers(survey, command)
        if len(handlers) > 1:
            yield Finding(
                f"command {command.__message__.name}",
                f"is carried out by {' and by '.join(handlers)}",
                "Keep one; whoever else cares consumes the event that it ends with",
                survey.source.of(command),
            )


def _handlers(survey: Survey, command: type[Command]) -> list[str]:
    return [
        f"{s.name}.{handler.name}" for s in survey.services for handler in s.handlers if command in handler.messages
    ]


RULES = (
    Rule(
        "FH050",
        "command-without-handler",
        "error",
        "A command that a saga or a service sends is carried out by some service.",
        command_without_handler,
    ),
    Rule("FH051", "command-with-two-handlers", "error", "A command has one handler.", command_with_two_handlers),
)
