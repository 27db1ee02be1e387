"""`carecloud export`: a whole list into a file."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import anyio
import typer

from carecloud_async.calls.retry import RetryPolicy
from carecloud_async.cli import connect
from carecloud_async.cli.connect import DEFAULT_LANGUAGE, DEFAULT_TIMEZONE, Connection
from carecloud_async.cli.console import say
from carecloud_async.cli.failures import INTERRUPTED, UsageError
from carecloud_async.cli.listings import find, open_listing
from carecloud_async.cli.progress import retries, show_progress
from carecloud_async.cli.warnings import tell_of_values
from carecloud_async.errors import ExportError
from carecloud_async.export import ExportReport

#: The formats, as the export knows them by the end of the file's name.
SUFFIXES = (
    ".jsonl",
    ".csv",
    ".parquet",
    ".jsonl.gz",
    ".jsonl.zst",
    ".csv.gz",
    ".csv.zst",
)


def export(
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="What to export: customers, users, …")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; the suffix is the format: .jsonl, .csv, .parquet, or .jsonl and .csv with .gz or .zst.",
            show_default=False,
        ),
    ],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Records per request.")] = 1000,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Requests under way at once.")] = 8,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            help="Requests per second at most. Without it the server's own limit is found.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
    changed_since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only what changed since then, such as 2026-11-01T00:00, in the project's time zone.",
            show_default=False,
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="NAME=VALUE", help="Only records that match; may be repeated."),
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Only these fields; nested ones with a dot: customer_id,personal_information.email.",
            show_default=False,
        ),
    ] = None,
    sandbox: connect.SandboxSize = None,
    project_url: connect.ProjectUrl = "",
    login: connect.Login = "",
    application_id: connect.ApplicationId = "",
    timezone: connect.Timezone = DEFAULT_TIMEZONE,
    language: connect.Language = DEFAULT_LANGUAGE,
    allow_http: connect.AllowHttp = False,
) -> int:
    """Write all records of a list to a file.

    Every record that exists from start to end is in the file once, whatever changes meanwhile. The file appears under
    its name when it is whole; a run that was stopped goes on with --resume.

    For example:

    - carecloud export customers -o customers.jsonl --sandbox 1000

    - carecloud export customers -o smiths.csv --filter last_name=Smith --fields customer_id,last_change

    - carecloud export customers -o changed.parquet --changed-since 2026-11-01T00:00
    """
    operation = find(resource)
    _check_target(output)
    if rate is not None and not rate > 0:
        raise UsageError(f"--rate must be greater than 0, not {rate:g}")
    since = None if changed_since is None else _moment(changed_since)
    wanted = None if fields is None else _names(fields)
    tell_of_values()
    connection = Connection(
        project_url=project_url,
        login=login,
        application_id=application_id,
        timezone=timezone,
        language=language,
        allow_http=allow_http,
        sandbox=sandbox,
    )

    async def work() -> ExportReport:
        async with connection.open(rate=rate, connections=max(concurrency, 20)) as client:
            listing = open_listing(client.with_options(retry=RetryPolicy()), operation, filters or [], count=count)
            await client.login()  # credentials are checked before the export puts anything beside the target
            with show_progress(resource) as on_progress:
                return await listing.export(
                    output,
                    concurrency=concurrency,
                    resume=resume,
                    overwrite=overwrite,
                    changed_since=since,
                    fields=wanted,
                    on_progress=on_progress,
                )

    try:
        report = anyio.run(work)
    except KeyboardInterrupt:
        say(f"interrupted: {output} is not finished; the same command with --resume goes on")
        return INTERRUPTED
    say(summary(resource, report))
    return 0


def summary(resource: str, report: ExportReport) -> str:
    """Say in one line what came of an export."""
    requests = "1 request" if report.requests == 1 else f"{report.requests:,} requests"
    if report.retries:
        requests += f", {retries(report.retries)}"
    words = [f"{report.records:,} {resource} in {report.target} ({report.seconds:.1f} s, {requests})"]
    if report.finished_before:
        words.append("an earlier run had finished it: --overwrite asks again")
    if not report.settled:
        words.append("the list kept changing until the end: run it again for certainty")
    elif report.drifted:
        words.append("the list changed meanwhile: everything that stayed is there once")
    if report.next_changed_since is not None:
        words.append(f"next time: --changed-since {report.next_changed_since.isoformat(timespec='seconds')}")
    return "; ".join(words)


def _check_target(output: str) -> None:
    """Refuse what cannot become a file before anyone is asked; pipes, devices and URLs are left to the export."""
    if not (output.lower().endswith(SUFFIXES) or output.startswith("/dev/")):
        raise UsageError(f"{output}: the suffix names the format, and must be one of {', '.join(SUFFIXES)}")
    folder = Path(output).parent
    if "://" in output or output.startswith("/dev/"):
        return
    if Path(output).is_dir():
        raise ExportError(f"{output} is a folder: name a file")
    if not folder.is_dir():
        raise ExportError(f"{output}: there is no folder {folder}: make it first, or choose another place")
    if not os.access(folder, os.W_OK):
        raise ExportError(f"{output}: you may not write in {folder}: choose another place")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--changed-since {text!r} is no time: write it as 2026-11-01T00:00") from None


def _names(fields: str) -> list[str]:
    names = [name.strip() for name in fields.split(",")]
    if not all(names):
        raise UsageError("--fields has an empty name: write them as customer_id,last_change")
    return names
