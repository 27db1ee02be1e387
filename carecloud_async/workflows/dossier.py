"""All data of one customer that the API provides, for a GDPR request (articles 15 and 20).

Read are the customer's record, every list under the customer, and every list that can be filtered by a customer and
whose records name theirs; each list exactly, as an export does. `index.json` and `index.md` say what was asked, what
this user may not read, and what the API cannot give.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec
from attrs import frozen

from carecloud_async._base import codec
from carecloud_async._base.codec.answers import raw_data
from carecloud_async._base.codec.fields import is_model
from carecloud_async._base.runs import RunKind, WorkFolder, publish_folder, reason_of
from carecloud_async._base.runtime.durable_files import claim_folder, create_private
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async._lists.export.formats.csv import CsvSink
from carecloud_async._lists.export.formats.sinks import CsvOptions, Layout
from carecloud_async._version import __version__
from carecloud_async.errors import (
    AuthenticationError,
    CareCloudError,
    ConfigurationError,
    InterfaceError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
)
from carecloud_async.fixes import DELETE, ROOM
from carecloud_async.models.bookings import BookingItemsDetail
from carecloud_async.models.ids import same_id
from carecloud_async.resources.declare import declared
from carecloud_async.resources.lookup.by_name import find_method, listable, missing_filters

if TYPE_CHECKING:
    from carecloud_async._lists.listings.listing import Listing
    from carecloud_async.client import CareCloud

__all__ = ["Dossier", "DossierPart", "PartStatus", "dossier"]

_KIND: Final = RunKind(
    name="dossier",
    file="a run file of a dossier",
    each="customer",
    own="a folder",
    version=1,
    tables=(),
    error=ConfigurationError,
    begin_again=DELETE,
    full=ROOM,
)
_CSV: Final = CsvOptions(bom=True, escape_formulas=True)

#: Data that the API does not provide, or only one record at a time, as texts for the index.
NOT_GIVEN: Final = (
    "The password and logins through social networks: the API takes them and never shows them.",
    "Deleted and earlier versions of records: the API shows records as they are now.",
    "Lists under one record: client.tasks.task_comments(task_id), .property_records(task_id) and .assignees(task_id), "
    "client.vouchers.property_records(voucher_id).",
    "Referral codes that are no longer valid, and those of other campaigns than the project's own: "
    "client.customers.referrals(customer_id).list(is_valid=False), and list(referral_campaign_id=…).",
    "The bodies of messages: client.messages.detail(message_id) returns one of a message at a time.",
    "Files (the photo, files of cards, attachments): records hold their addresses at most.",
    "Device tokens and push notifications of the customer's devices: the API has no list of them.",
    "Data that the project keeps outside of CareCloud, and logs, backups and statistics of CareCloud itself: ask the "
    "operator of the project.",
)


class PartStatus(StrEnum):
    """What became of one part of a dossier."""

    READ = "read"
    """It was read; `exact` says whether every record that stayed is in it."""
    FORBIDDEN = "forbidden"
    """This user may not read it: ask for the right, or let another user read it."""
    NOT_AVAILABLE = "not_available"
    """The project does not have it."""
    FILTER_IGNORED = "filter_ignored"
    """The server returned records of other customers: nothing of the list is in the dossier."""
    FAILED = "failed"
    """It could not be read; `reason` says why. Run it again."""


@frozen(kw_only=True)
class DossierPart:
    """One list of a dossier."""

    name: str
    """Name of the list from the client, such as `customers.cards`."""
    request: str
    """What was asked, as method, path and filter."""
    status: PartStatus
    """The outcome."""
    exact: bool | None = None
    """Whether every record that stayed while the list was read is there once; `None` if it was not read."""
    raw_records: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    """The records as JSON, as the server sent them."""
    left_out: int = 0
    """Number of records that name no customer, and are left out for that."""
    reason: str = ""
    """The error, for a part that was not read."""
    into: Any = attrs.field(default=None, repr=False)
    """The model of the records."""

    @property
    def records(self) -> list[Any]:
        """The records as plain JSON values."""
        return [msgspec.json.decode(line) for line in self.raw_records]


@frozen(kw_only=True)
class Dossier:
    """All data of one customer that this user may read."""

    customer_id: str
    """Id of the customer."""
    project: str
    """The project's domain."""
    asked_at: datetime
    """When it was asked for."""
    parts: tuple[DossierPart, ...] = attrs.field(repr=False)
    """The customer's record and the lists."""
    timezone: Any = attrs.field(repr=False)
    """The project's time zone: timestamps in records are local to it."""

    @property
    def is_complete(self) -> bool:
        """Whether every part that the project has was read, exactly, and no record had to be left out."""
        good = {PartStatus.READ, PartStatus.NOT_AVAILABLE}
        return all(part.status in good and part.exact is not False and not part.left_out for part in self.parts)

    async def write(self, folder: str | os.PathLike[str]) -> None:
        """Write the dossier into a new folder: each part as JSON and CSV, and the index.

        The folder appears whole, and only this user can read it. In CSV, text that a spreadsheet would take for a
        formula has an apostrophe before it; JSON holds what the server sent.

        Args:
            folder: the folder; it must not exist, or be empty.

        Raises:
            ConfigurationError: the folder is not empty, or cannot be written.
        """
        await run_in_thread(lambda: _write(self, Path(os.path.realpath(folder))))  # a link is followed


def _write(dossier: Dossier, folder: Path) -> None:
    """Write a dossier into a private folder next to its own, which gets its name when it is complete; blocks.

    Raises:
        ConfigurationError: the folder is not empty, or cannot be written, or another run is writing it.
    """
    work = WorkFolder(folder)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        try:
            work.open(kind=_KIND, binding={}, resume=False)  # its lock is wanted alone
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise ConfigurationError(f"{folder.name} is there and not empty: name a new folder")
            _stage(dossier, folder)
        finally:
            work.close()
    except OSError as error:
        raise ConfigurationError(f"{folder.name} cannot be written: {reason_of(error)}") from None


def _stage(dossier: Dossier, folder: Path) -> None:
    """Write the files into a folder beside, and give it its name. A killed run may have left files there."""
    stage = folder.with_name(f".{folder.name}.partial")
    claim_folder(stage)
    try:
        for left in stage.iterdir():
            left.unlink()
        for name, content in _files(dossier):
            with create_private(stage / name) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        publish_folder(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _files(dossier: Dossier) -> list[tuple[str, bytes]]:
    files = []
    for part in dossier.parts:
        if part.raw_records:
            files.append((f"{part.name}.json", b"[\n" + b",\n".join(part.raw_records) + b"\n]\n"))
            files.append((f"{part.name}.csv", _csv(part, dossier.timezone)))
    index = _index(dossier)
    encoded = msgspec.json.format(msgspec.json.encode(index), indent=2)
    return [*files, ("index.json", encoded + b"\n"), ("index.md", _text(index).encode())]


def _csv(part: DossierPart, timezone: Any) -> bytes:
    file = BytesIO()
    sink = CsvSink(file, Layout(into=part.into, fields={}, timezone=timezone, csv=_CSV))
    sink.infer_schema(part.raw_records)
    sink.write(part.raw_records)
    sink.close()
    return file.getvalue()


def _index(dossier: Dossier) -> dict[str, Any]:
    return {
        "customer_id": dossier.customer_id,
        "project": dossier.project,
        "time_zone_of_records": str(dossier.timezone),
        "asked_at": dossier.asked_at.isoformat(),
        "made_by": f"carecloud-async {__version__}",
        "complete": dossier.is_complete,
        "parts": [
            {
                "name": part.name,
                "request": part.request,
                "status": part.status.value,
                "records": len(part.raw_records),
                "exact": part.exact,
                "left_out": part.left_out,
                "reason": part.reason,
                "files": [f"{part.name}.json", f"{part.name}.csv"] if part.raw_records else [],
            }
            for part in dossier.parts
        ],
        "not_given_by_the_api": list(NOT_GIVEN),
    }


def _text(index: dict[str, Any]) -> str:
    lines = [
        f"# Data of customer {index['customer_id']}",
        "",
        f"Read from {index['project']} at {index['asked_at']}. Times in the records are local to "
        f"{index['time_zone_of_records']}.",
        "",
        "Everything that the project has was read."
        if index["complete"]
        else "**Not complete**: see the parts that are not `read` or `not_available`, not exact, or leave records out.",
        "",
        "| part | asked | status | records | exact | note |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for part in index["parts"]:
        note = part["reason"] or (f"{part['left_out']} that name no customer are left out" if part["left_out"] else "")
        exact = {None: "", True: "yes", False: "no"}[part["exact"]]
        cells = (part["name"], f"`{part['request']}`", part["status"], str(part["records"]), exact, note)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += [
        "",
        "## What the API does not give",
        "",
        *(f"- {missing}" for missing in index["not_given_by_the_api"]),
        "",
    ]
    return "\n".join(lines)


_UNDER: Final = "/customers/{customer_id}/"
#: By the name of an option, or its beginning: the value with which a list shows the most.
_MOST_SHOWN: Final = {
    "add_booking_items": BookingItemsDetail.FULL,
    "all_customer_relations": True,
    "include_": True,
    "purchase_items_extension": True,
    "without_stores": False,
}


async def dossier(client: CareCloud, customer_id: str) -> Dossier:
    """Read all data of one customer that this user may read.

    A list that may not be read, or fails, does not stop the others: `dossier.parts` has the status of each. A list that
    the server does not filter is left out, so that no data of another customer gets into the dossier.

    Operations: `GET /customers/{customer_id}`, every list under it, and every list with the
    filter `customer_id` whose records name their customer.

    Args:
        client: the client, of an enterprise user; a customer's own client sees less.
        customer_id: the customer.

    Raises:
        NotFoundError: there is no such customer, or none any more when the lists were read.
        AuthenticationError: the credentials were refused.
    """
    context = client._caller.context
    asked_at = datetime.fromtimestamp(context.clock.time(), UTC)
    parts = [await _read_customer(client, customer_id)]
    folder = TemporaryDirectory(prefix="carecloud-")  # private, as Python makes them
    try:
        for number, (name, operation) in enumerate(_lists()):
            listing = _open(client, operation, customer_id)
            if listing is not None:
                target = Path(folder.name) / f"{number}.jsonl"
                parts.append(await _read_list(listing, name, operation, customer_id, target))
        await _read_customer(client, customer_id)  # of one who is gone by now, lists seemed empty or not available
    finally:
        await run_in_thread_regardless(folder.cleanup)
    return Dossier(
        customer_id=customer_id,
        project=client.project.host,
        asked_at=asked_at,
        parts=tuple(parts),
        timezone=client.project.timezone,
    )


def _lists() -> list[tuple[str, Operation]]:
    """Return the lists under a customer, then those that can be filtered by one."""
    known = sorted(listable().items())
    under = [(name, operation) for name, operation in known if _is_under(operation)]
    filtered = [
        (name, operation)
        for name, operation in known
        if not operation.placeholders and "customer_id" in operation.parameters
    ]
    return under + filtered


def _is_under(operation: Operation) -> bool:
    """Return whether a list is under a customer: all its records are the customer's."""
    return operation.path.startswith(_UNDER)


def _open(client: CareCloud, operation: Operation, customer_id: str) -> Listing[Any] | None:
    """Return a list of the customer's; `None` if its records name no customer, or if it needs another filter."""
    method, ids = find_method(client, operation, of=[customer_id] if _is_under(operation) else [])
    params: dict[str, Any] = {} if _is_under(operation) else {"customer_id": customer_id}
    if missing_filters(operation, method, params):
        return None
    given = operation.parameters
    shown = {name: value for name in given for start, value in _MOST_SHOWN.items() if name.startswith(start)}
    listing = method(*ids, **params, **shown)
    return listing if _is_under(operation) or _names_customer(listing.export_source().into) else None


def _names_customer(model: Any) -> bool:
    return is_model(model) and any(field.name == "customer_id" for field in attrs.fields(model))


async def _read_customer(client: CareCloud, customer_id: str) -> DossierPart:
    from carecloud_async.models.customer import Customer
    from carecloud_async.resources.customers import Customers

    caller, operation = client._caller.fresh, declared(Customers.get).operation
    request = CallRequest(operation, decode=_on_one_line, path_params={"customer_id": customer_id})
    record = await caller.call(request)
    return DossierPart(
        name="customer",
        request="GET /customers/{customer_id}",
        status=PartStatus.READ,
        exact=True,
        raw_records=(record,),
        into=Customer,
    )


def _on_one_line(body: bytes) -> bytes:
    """Return the record in an answer as the server wrote it, without line ends."""
    try:
        return msgspec.json.format(raw_data(body), indent=-1)
    except msgspec.DecodeError:
        raise codec.Malformed("the answer has no data") from None


async def _read_list(
    listing: Listing[Any], name: str, operation: Operation, customer_id: str, target: Path
) -> DossierPart:
    asked = DossierPart(
        name=name,
        request=f"{operation.method} {operation.path}" + ("" if _is_under(operation) else "?customer_id={customer_id}"),
        status=PartStatus.READ,
        into=listing.export_source().into,
    )
    try:
        report = await listing.fresh().export(target)
        lines = await run_in_thread(lambda: [line for line in target.read_bytes().split(b"\n") if line])
    except AuthenticationError:
        raise
    except CareCloudError as error:
        return attrs.evolve(asked, status=_status_of(error), reason=str(error))
    read = attrs.evolve(asked, exact=report.exact, raw_records=tuple(lines))
    return read if _is_under(operation) else _of_customer(read, customer_id)


def _of_customer(part: DossierPart, customer_id: str) -> DossierPart:
    """Keep the records that are the customer's; none if the server returned another customer's."""
    owners = [record.get("customer_id") if isinstance(record, dict) else None for record in part.records]
    if any(owner and not same_id(owner, customer_id) for owner in owners):
        reason = "the server ignores the filter customer_id of this list"
        return attrs.evolve(part, status=PartStatus.FILTER_IGNORED, exact=None, raw_records=(), reason=reason)
    kept = tuple(line for line, owner in zip(part.raw_records, owners, strict=True) if owner)
    return attrs.evolve(part, raw_records=kept, left_out=len(owners) - len(kept))


def _status_of(error: CareCloudError) -> PartStatus:
    if isinstance(error, PermissionDeniedError):
        return PartStatus.FORBIDDEN
    if isinstance(error, NotFoundError | MethodNotAllowedError | InterfaceError):
        return PartStatus.NOT_AVAILABLE
    return PartStatus.FAILED
