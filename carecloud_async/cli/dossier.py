"""`carecloud dossier`: all data of one customer into a folder."""

from __future__ import annotations

from pathlib import Path

from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import say
from carecloud_async.cli.failures import MissingRecordError, UsageError, warn_of_readings
from carecloud_async.cli.parameters import argument, expands_options, option
from carecloud_async.client import CareCloud
from carecloud_async.errors import NotFoundError
from carecloud_async.workflows.dossier import Dossier, PartStatus
from carecloud_async.workflows.dossier import dossier as read_dossier


@expands_options
def dossier(
    connection: Connection,
    customer_id: str = argument("CUSTOMER_ID", "The customer's id."),
    output: str = option("FOLDER", "The folder to make; only you can read it.", "--output", "-o", default=...),
) -> int:
    """Write all data of one customer into a folder: JSON and CSV of every list, and an index (GDPR, articles 15, 20).

    The index names what was read, what this user may not read, and what the API does not offer. The exit code is 1 if
    a part could not be read.

    Example: carecloud dossier 8ea6abece4cd0a4ded0a29f093 -o dossier --sandbox 10
    """
    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{output} exists and is not empty: name a new folder")
    warn_of_readings()

    async def work(client: CareCloud) -> Dossier:
        try:
            made = await read_dossier(client, customer_id)
        except NotFoundError:
            raise MissingRecordError(f"there is no customer with the id {customer_id}") from None
        await made.write(folder)
        return made

    made = connection.run(work)
    for part in made.parts:
        if part.status in {PartStatus.FORBIDDEN, PartStatus.FAILED, PartStatus.FILTER_IGNORED}:
            say(f"{part.name}: {part.status.value.replace('_', ' ')} ({part.reason})")
    read = [part for part in made.parts if part.status is PartStatus.READ]
    records = sum(len(part.raw_records) for part in read)
    say(f"{records:,} records of {len(read)} of {len(made.parts)} parts in {output}; see index.md")
    return 0 if made.is_complete else 1
