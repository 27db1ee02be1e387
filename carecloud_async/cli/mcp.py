"""`carecloud mcp`: a server of the Model Context Protocol on stdin and stdout, for assistants."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import anyio
import typer

from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import INTERRUPTED, say
from carecloud_async.cli.failures import MissingExtraError
from carecloud_async.cli.parameters import expands_options


@expands_options
def mcp(
    connection: Connection,
    allow: Annotated[
        str, typer.Option(metavar="NAMES", help="What may be written, in two steps: points, credits.")
    ] = "",
    show: Annotated[
        str, typer.Option(metavar="FIELDS", help="Personal fields that are shown and not masked, such as email.")
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="Where exports are written, and nowhere else."),
    ] = None,
    outbox: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The outbox of writes; by default outbox.db in the folder.")
    ] = None,
) -> int:
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

    async def serve() -> None:
        async with connection.open() as client:  # within the server, its errors would be in a group
            server = make_server(
                lambda: nullcontext(client), allow=_names(allow), show=_names(show), folder=folder, outbox=outbox
            )
            await server.run_stdio_async()

    try:
        anyio.run(serve)
    except KeyboardInterrupt:
        say("stopped")
        return INTERRUPTED
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
