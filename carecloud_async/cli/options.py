"""Groups of options that several commands share, each written once as a frozen value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

import attrs

__all__ = ["expands_options"]

R = TypeVar("R")


def expands_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options of each group among its parameters.

    A group is a frozen attrs class whose fields are annotated as Typer's parameters are. A parameter
    `connection: Connection` becomes the options `--project-url`, `--login`, …, and the command is called with the value
    that they make.

    Args:
        command: the function of a command; the options of a group stand in its place.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if name != "return" and attrs.has(hint)}
    members = {name: _parameters_of(group) for name, group in groups.items()}
    parameters: list[inspect.Parameter] = []
    for own in inspect.signature(command).parameters.values():
        plain = own.replace(annotation=hints[own.name], kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += members.get(own.name, [plain])

    def run(**values: Any) -> R:
        made = {name: group(**_take(values, members[name])) for name, group in groups.items()}
        return command(**values, **made)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _parameters_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is attrs.NOTHING else field.default,
            annotation=hints[field.name],
        )
        for field in attrs.fields(group)
    ]


def _take(values: dict[str, Any], parameters: list[inspect.Parameter]) -> Mapping[str, Any]:
    return {parameter.name: values.pop(parameter.name) for parameter in parameters}
