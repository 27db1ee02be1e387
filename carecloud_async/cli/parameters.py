"""Parameters that several commands share, alone and in groups, each with its help and its completion in the shell."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

import attrs
import typer


def option(metavar: str, help: str, *names: str, default: Any = None, **more: Any) -> Any:  # noqa: A002
    """Return an option as the default of a parameter, or of a field of a group; the arguments are Typer's."""
    return typer.Option(default, *names, metavar=metavar, help=help, **more)


def flag(help: str, *names: str, **more: Any) -> Any:  # noqa: A002
    """Return an option that is given or not."""
    return typer.Option(False, *names, help=help, metavar="", **more)  # an empty one: no type of a flag is shown


def argument(metavar: str, help: str, *, default: Any = ..., **more: Any) -> Any:  # noqa: A002
    """Return an argument, which is required unless it has a default."""
    return typer.Argument(default, metavar=metavar, help=help, **more)


ROWS = argument("FILE", ".csv, .jsonl or .parquet; the first two also .gz, .zst.")
OF = option("ID", "Id of the parent, such as the customer of customers.cards.", "--of")
FIELDS = option("A,B", "Only these fields; nested ones with a dot: customer_id,contact.email.", "--fields")
ALLOW_UNKNOWN = flag("Accept filters and fields that the SDK does not know.", "--allow-unknown")
COLUMN_FIELDS = option("COLUMN=FIELD", "The field of a column with another name.", "--column")
ENCODING = option("NAME", "Encoding of a CSV file that is not UTF-8, such as cp1250.", "--encoding")
RATE = option("N", "Requests per second at most. By default the limit of the server is found.")
SETTLE = option("SECONDS", "After how long a write whose answer was lost may be sent again; by default 120.")
RESUME = flag("Continue an earlier run that was stopped.", "--resume")
REPORT = option("FILE", "Write the outcome to FILE as JSON; - is stdout.", "--report")


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
