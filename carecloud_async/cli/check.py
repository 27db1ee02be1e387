"""`carecloud check`: a first look at a real project."""

from __future__ import annotations

from typing import Annotated

import anyio
import typer

from carecloud_async.check.report import ProjectCheck
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.failures import FAILED
from carecloud_async.cli.parameters import expands_options
from carecloud_async.cli.report_file import prepare_report, write_last_report

__all__ = ["check"]


@expands_options
def check(
    connection: Connection,
    report: Annotated[
        str | None,
        typer.Option(
            "--report", metavar="FILE", help="Write the findings to FILE as JSON, to attach to an issue; - is stdout."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", metavar="N", help="Stop after N seconds.")] = 120.0,
) -> int:
    """Check how a project behaves before you rely on it.

    The check only reads, with at most sixty requests. Each finding is ok, a warning, a problem or not known, with what
    it means and the fix. The report holds no id, name or value of a record, no address and no credentials. The exit
    code is 1 if there is a problem; what is not known is none.

    Example: carecloud check --report check.json --sandbox 1000
    """

    async def work() -> ProjectCheck:
        async with connection.open(asks="first") as client:
            return await client.check(seconds=seconds)

    prepare_report(report)
    found = anyio.run(work)
    if report != "-":
        write_last_report("-", f"{found}\n")
    write_last_report(report, found.to_json())
    return 0 if found.ok else FAILED
