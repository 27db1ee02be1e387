"""The command line: its commands and their help, as Typer runs them, and the exit code of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from carecloud_async._version import __version__
from carecloud_async.cli.console import INTERRUPTED, ReaderGoneError, discard_output, put, say
from carecloud_async.cli.failures import UsageError, explain, warnings_as_lines
from carecloud_async.cli.parameters import flag

#: The commands in the order of the help: the module of each and its function there, and its line in the help.
_COMMANDS = {
    "export": ("export", "export", "Write all records of a list to a file."),
    "import": ("import_rows", "import_rows", "Create and update records from the rows of a file."),
    "changes": ("changes", "changes", "Write what changed in a list since the last run."),
    "compare": ("compare", "compare", "Compare a list with a file."),
    "duplicates": ("compare", "duplicates", "Find records that share a value."),
    "list": ("records", "list_", "Print records, one JSON record a line."),
    "get": ("records", "get", "Print one record as JSON."),
    "total": ("records", "total", "Print how many records there are."),
    "segment": ("segment", "segment", "Bring a segment in line with a file of customers."),
    "outbox": ("outbox", "outbox", "Look after what waits in an outbox, and what failed."),
    "mcp": ("servers", "mcp", "Let an assistant read the project (MCP)."),
    "dossier": ("dossier", "dossier", "Write all data of one customer into a folder."),
    "request": ("records", "request", "Send any request to the API; print JSON."),
    "check": ("project", "check", "Check how a project behaves before you rely on it."),
    "record": ("servers", "record", "Write a recording of a project, with made-up values, for the sandbox."),
    "login": ("project", "login", "Log in, print the user, and keep the token for the next commands."),
    "logout": ("project", "logout", "End the token that login kept."),
    "sandbox": ("servers", "sandbox", "Serve a made-up CareCloud on this machine."),
}


class Group(TyperGroup):
    """The group of all commands: the module of a command is imported when it is asked for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name of the command that the words begin with, the command, and the words that are left."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _load(name or ""), rest

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Typer itself ends silently at Ctrl-C; after an `Abort` the caller says so.

        Raises:
            typer.Abort: the command was interrupted, and did not say itself what became of its work.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Abort from error


_EPILOG = (
    "The project and the API user come from CARECLOUD_PROJECT_URL, CARECLOUD_EXTERNAL_APPLICATION_ID, "
    "CARECLOUD_LOGIN and CARECLOUD_PASSWORD, from a profile of config.toml, or from options. Exit codes: 0 done, "
    "1 failed, 2 wrong usage, 130 interrupted (by Ctrl-C or SIGTERM)."
)

app: typer.Typer = typer.Typer(
    name="carecloud",
    cls=Group,
    help="Read and write the data of a CareCloud project.\n\nTry it without a project:\n\n"
    "carecloud export customers -o customers.jsonl --sandbox 1000",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _load(name: str) -> Any:
    """Import a command, and return it with its parameters."""
    module, function, _ = _COMMANDS[name]
    alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    alone.command(name)(getattr(import_module(f"carecloud_async.cli.{module}"), function))
    return typer.main.get_command(alone)


def _not_loaded() -> None:
    """Stand for a command in the help of the group."""


for _name, _command in _COMMANDS.items():
    app.command(_name, short_help=_command[2])(_not_loaded)


#: Values of CARECLOUD_DEBUG that leave it off.
_OFF = {"", "0", "false", "no", "off"}


def _version(wanted: bool) -> None:
    if wanted:
        put(f"carecloud-async {__version__}\n".encode())
        raise typer.Exit


@app.callback()
def _root(
    version: bool = flag("Print the version.", "--version", callback=_version, is_eager=True),
) -> None:
    """Take the options that stand before any command."""
    del version


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; each failure is one line on stderr.

    Args:
        arguments: the words after `carecloud`.
    """
    try:
        with warnings_as_lines():
            code = typer.main.get_command(app).main(list(arguments), prog_name="carecloud", standalone_mode=False)
    except ReaderGoneError:
        discard_output()
        return 0
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return INTERRUPTED
    except typer.TyperException as error:
        return _wrong_usage(error)
    except ModuleNotFoundError:  # `main` names the extra
        raise
    except Exception as error:
        if os.environ.get("CARECLOUD_DEBUG", "").strip().lower() not in _OFF:
            raise
        line, code = explain(error)
        say(line)
        return code
    return code if isinstance(code, int) else 0


def _wrong_usage(error: Any) -> int:
    """Print what is wrong with the command line, and the command that prints its help."""
    error.message = _own_words(error)
    message = " ".join(error.format_message().split())
    if not message or type(error).__name__ == "NoArgsIsHelpError":
        return UsageError.code  # the error printed the help when it was made
    where = error.ctx.command_path if getattr(error, "ctx", None) else "carecloud"
    say(f"{message if message.endswith(('.', '?')) else message + '.'} See {where} --help")
    return UsageError.code


def _own_words(error: Any) -> Any:
    """Return the message of an error, without the words that pydantic, which Typer may use, puts before it."""
    faults = error.__cause__.errors() if hasattr(error.__cause__, "errors") else []
    raised = [str(fault["ctx"]["error"]) for fault in faults if fault["type"] == "value_error"]
    return raised[0] if raised else error.message
