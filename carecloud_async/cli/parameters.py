"""Parameters that several commands share, each with its help."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from carecloud_async.cli.completion import complete_filter, complete_list

__all__ = [
    "AllowUnknown",
    "ColumnFields",
    "ColumnsFile",
    "Decimal",
    "Encoding",
    "Fields",
    "Filters",
    "Of",
    "PhonePrefix",
    "Rate",
    "Report",
    "Resource",
    "Resume",
    "option_of",
]

Resource = Annotated[
    str,
    typer.Argument(
        metavar="RESOURCE", help="Such as cards, or customers.cards with --of.", autocompletion=complete_list
    ),
]
Of = Annotated[
    list[str] | None,
    typer.Option("--of", metavar="ID", help="Id of the parent, such as the customer of customers.cards."),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="Only records that match, such as last_name=Smith; may be repeated.",
        autocompletion=complete_filter,
    ),
]
Fields = Annotated[
    str | None,
    typer.Option(
        "--fields", metavar="A,B", help="Only these fields; nested ones with a dot: customer_id,contact.email."
    ),
]
AllowUnknown = Annotated[
    bool, typer.Option("--allow-unknown", help="Accept filters and fields that the SDK does not know.")
]
ColumnFields = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="COLUMN=FIELD", help="The field of a column with another name."),
]
ColumnsFile = Annotated[
    str | None,
    typer.Option(
        "--columns", metavar="FILE", help="A .toml or .json file: column = field, and what its words stand for."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Encoding of a CSV file that is not UTF-8, such as cp1250."),
]
Decimal = Annotated[
    Literal[".", ","] | None,
    typer.Option(
        "--decimal", metavar="SIGN", help="Decimal sign of the numbers, such as ','; thousands may be separated then."
    ),
]
PhonePrefix = Annotated[
    str | None,
    typer.Option("--phone-prefix", metavar="PREFIX", help="Prefix of phone numbers that have none, such as +420."),
]
Rate = Annotated[
    float | None,
    typer.Option(metavar="N", help="Requests per second at most. By default the limit of the server is found."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an earlier run that was stopped.")]
Report = Annotated[
    str | None, typer.Option("--report", metavar="FILE", help="Write the outcome to FILE as JSON; - is stdout.")
]


def option_of(panel: str, name: str, metavar: str, help: str) -> Any:  # noqa: A002
    """Return an option that the help shows in a panel; the arguments are Typer's."""
    return typer.Option(name, metavar=metavar, help=help, rich_help_panel=panel)
