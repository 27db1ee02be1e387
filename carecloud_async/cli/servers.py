"""`carecloud sandbox` and `record`: a made-up CareCloud, and what it starts from; `mcp`: a server for assistants."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from carecloud_async.cli.connect import Connection, embedded_sandbox, recorded_sandbox
from carecloud_async.cli.console import INTERRUPTED, put, say
from carecloud_async.cli.failures import MissingExtraError, UsageError
from carecloud_async.cli.parameters import expands_options, option
from carecloud_async.client import CareCloud

if TYPE_CHECKING:
    from carecloud_async.sandbox import Sandbox


def sandbox(
    host: str = option("ADDRESS", "Address to listen on; 0.0.0.0 lets other machines in.", default="127.0.0.1"),
    port: int = option("N", "Port to listen on; 0 chooses a free one.", min=0, max=65535, default=8000),
    customers: int = option(
        "N", "Number of made-up customers, and of records in every other list.", min=0, default=10000
    ),
    recording: Path | None = option("FILE", "Start from a file of carecloud record.", "--from"),
) -> int:
    """Serve a made-up CareCloud until Ctrl-C or SIGTERM, and print the settings for clients.

    Logins, customers and errors behave like those of the real API; the other lists have made-up records. Nothing leaves
    this machine.

    Example: carecloud sandbox --port 8000 --customers 500
    """
    server = embedded_sandbox(customers) if recording is None else recorded_sandbox(recording)
    server.serve(host, port, on_ready=lambda url: _introduce(url, server))
    say("the sandbox is stopped")
    return INTERRUPTED


def _introduce(url: str, server: Sandbox) -> None:
    from carecloud_async import sandbox as known

    settings = {
        "CARECLOUD_PROJECT_URL": url,
        "CARECLOUD_EXTERNAL_APPLICATION_ID": known.USER_APPLICATION_ID,
        "CARECLOUD_LOGIN": known.USER_LOGIN,
        "CARECLOUD_PASSWORD": known.USER_PASSWORD,
    }
    lines = [f"# A sandbox with {len(server.customers):,} customers at {url}; copy these lines into another terminal:"]
    lines += [f"export {name}={value}" for name, value in settings.items()]
    session = server.customer_session() if len(server.customers) else None
    if session is not None:
        login = f"{session.login_value} / {known.CUSTOMER_PASSWORD}"
        lines += [f"# A customer logs in as {login} on a device of {known.CUSTOMER_APPLICATION_ID}."]
    lines += ["carecloud total customers", "# Ctrl-C stops it."]
    put("\n".join(lines).encode() + b"\n")


@expands_options
def record(
    connection: Connection,
    output: Path = option(
        "FILE", "The file to write; one that ends with .gz is compressed.", "--output", "-o", default=...
    ),
    lists: str = option(
        "NAMES", "Lists to read, such as customers,cards; by default all that need no filter.", default=""
    ),
    records: int = option("N", "Records of each list at most.", min=1, default=200),
) -> None:
    """Write a recording of a project, for `carecloud sandbox --from` and `Sandbox.from_recording`.

    It only reads. Personal fields, ids, unknown fields and free texts get made-up values of the same shape. Amounts
    stay, and times are moved by some weeks: look at the file before you give it away.

    Example: carecloud record -o acme.sandbox --lists customers,cards --sandbox 50
    """
    from carecloud_async.recording import record as write_recording

    if not output.absolute().parent.is_dir():
        raise UsageError(f"{output.absolute().parent} does not exist: make it, or choose another place")
    names = _names(lists)
    made = connection.run(lambda client: write_recording(client, output, lists=names, records=records), logs_in="first")
    refused = [recorded.name for recorded in made.lists if recorded.status is not None]
    rest = f"; refused: {', '.join(refused)}" if refused else ""
    say(f"{made.records:,} records of {len(made.lists) - len(refused)} lists in {output}{rest}")


@expands_options
def mcp(
    connection: Connection,
    allow: str = option("NAMES", "What may be written, in two steps: points, credits.", default=""),
    show: str = option("FIELDS", "Personal fields that are shown and not masked, such as email.", default=""),
    folder: Path | None = option("DIR", "Where exports are written, and nowhere else.", exists=True, file_okay=False),
    outbox: Path | None = option("FILE", "The outbox of writes; by default outbox.db in the folder."),
) -> None:
    """Let an assistant read the project over the Model Context Protocol, on stdin and stdout.

    It only reads, unless --allow names what may be written. Personal fields are masked, unless --show names them.

    Example: carecloud mcp --profile shop --folder exports --allow points
    """
    try:
        from carecloud_async.agents import make_server
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise MissingExtraError("mcp needs the extra mcp: pip install 'carecloud-async[cli,mcp]'") from None

    async def serve(client: CareCloud) -> None:  # opened within the server, its errors would be in a group
        server = make_server(
            lambda: nullcontext(client), allow=_names(allow), show=_names(show), folder=folder, outbox=outbox
        )
        await server.run_stdio_async()

    connection.run(serve, interrupted=lambda: "stopped")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
