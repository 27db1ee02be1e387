"""Duplicates: records of a list that share an e-mail address, a phone number, a name. Nothing is written or merged."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from attrs import frozen

from carecloud_async._base.codec.fields import api_names, paths_to
from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._base.runtime.threads import close_in_thread, run_in_thread
from carecloud_async._lists.export.errors import disk_errors
from carecloud_async.bulk.compare import value_at
from carecloud_async.bulk.family import field_paths, normal_email, normal_phone
from carecloud_async.bulk.pages import lines_of
from carecloud_async.bulk.results import require_writable, write_rows
from carecloud_async.bulk.sources.source import Dialect
from carecloud_async.bulk.spellings import ZERO_DATE
from carecloud_async.comparisons.groups import Groups, Member
from carecloud_async.comparisons.temporary import read_list
from carecloud_async.errors import ConfigurationError, NotFoundError, ResponseError
from carecloud_async.export import InexactReason
from carecloud_async.models.enums import RecordState
from carecloud_async.models.ids import same_id
from carecloud_async.models.input_fields import by_digits
from carecloud_async.models.loyalty import Credit, Point

if TYPE_CHECKING:
    from carecloud_async._lists.listings.listing import Listing
    from carecloud_async.client import CareCloud

__all__ = ["DuplicatesReport", "find_duplicates"]

R = TypeVar("R")
P = TypeVar("P", Point, Credit)

#: Records that are taken before other tasks run.
_TOGETHER: Final = 500
#: Fields that stand for several.
_ALIASES: Final = {"name": ("first_name", "last_name")}
_NORMAL: Final = {"email": normal_email, "phone": normal_phone}
_COLUMNS: Final = ("group", "record_id", "matched_by", "has", "plan")
_KEEP: Final = "keep: it has the most"
_GONE: Final = "none: deleted meanwhile"


@frozen(kw_only=True)
class DuplicatesReport:
    """What `find_duplicates` found.

    Attributes:
        records: records of the list.
        groups: groups of records that share a value.
        duplicates: records in these groups.
        crowded: values that more records share than `most_shared`; they join nothing.
        reasons: why the list may not have been read exactly; then a record may be missing, or be there no more.
        requests: requests made.
        seconds: duration.
        file: the file of the groups.
    """

    records: int
    groups: int
    duplicates: int
    crowded: int
    reasons: Sequence[InexactReason]
    requests: int
    seconds: float
    file: str

    @property
    def exact(self) -> bool:
        """Whether the list was read exactly: there are no `reasons` against it."""
        return not self.reasons


async def find_duplicates(
    client: CareCloud,
    *,
    listing: Listing[Any],
    by: Sequence[str],
    file: str | PathLike[str],
    most_shared: int = 100,
    plan: bool = True,
) -> DuplicatesReport:
    """Find records that share a value, and write them to a file; nothing is written to the project.

    Records are one group if they share one of the values, directly or by a record between them. E-mail addresses are
    compared without case, phone numbers by their digits, other values without case and repeated spaces. Empty
    values are not compared. The list is read exactly, as for an export, and memory does not grow with it.

    For customers the file also says what each of a group has (points, credits, cards, ids in sources), and as a plan
    what could be moved to the one that has the most. It is for a person to decide: people share addresses and phones,
    and the API has no merge.

    Operations: the list; for the plan of each customer in a group `GET /points`, `GET /credits`, `GET /cards` and
    `GET /customers/{customer_id}/customer-source-records`.

    Args:
        client: the client.
        listing: the list, with its filters: `client.customers.list()`.
        by: the values: fields (`email`, or dotted), several joined by `+` (`name+birthdate`); `name` is first and last
            name.
        file: a new file (`.csv` or `.jsonl`, also with `.gz` or `.zst`), one line a record.
        most_shared: the number of records above which a value is not a person's, such as the telephone of a shop.
        plan: whether the file says what customers have.

    Raises:
        ConfigurationError: a field is none of the list's records, or the list has no ids.
        ExportError: the list cannot be read, or the file cannot be written.
        ResponseError: the server ignores the filter by which a plan asks what a customer has.
        CareCloudError: the server cannot be reached, or refuses the client.
    """
    source = listing.export_source()
    id_field = source.operation.id_field
    if id_field is None:
        raise ConfigurationError("the records of this list have no id: duplicates could not be named")
    keys = {name: _paths(name, source.into) for name in by}
    if not keys:
        raise ConfigurationError("by is empty: name at least one field, such as email")
    target = Path(file)
    await run_in_thread(partial(require_writable, target))
    clock = client._caller.context.clock
    began = clock.monotonic()
    folder = tempfile.TemporaryDirectory(prefix="carecloud-duplicates-", ignore_cleanup_errors=True)
    groups = Groups(Path(folder.name) / "groups.db", most=most_shared)
    try:
        read = await read_list(listing, Path(folder.name) / "list.jsonl")
        lines = lines_of(Path(folder.name) / "list.jsonl")
        while some := await run_in_thread(lambda: [*islice(lines, _TOGETHER)]):
            await run_in_thread(partial(_add, groups, some, id_field=id_field, keys=keys))
        await run_in_thread(groups.link)
        plans = Path(folder.name) / "plans.jsonl"
        belongings = _Belongings(client) if plan and source.operation.path == "/customers" else None
        with disk_errors(plans):
            requests = await _write_plans(groups, belongings, plans)
        shown = [path for paths in keys.values() for path in paths]
        write = partial(write_rows, target, _rows(plans), [*dict.fromkeys(shown), *_COLUMNS], dialect=Dialect())
        with disk_errors(target):
            await run_in_thread(write)
        number_of_groups, duplicates, crowded = await run_in_thread(lambda: groups.counts)
    finally:
        await close_in_thread(groups.close, folder.cleanup)
    return DuplicatesReport(
        records=read.records,
        groups=number_of_groups,
        duplicates=duplicates,
        crowded=crowded,
        reasons=read.reasons,
        requests=read.requests + requests,
        seconds=clock.monotonic() - began,
        file=str(target),
    )


def _paths(key: str, model: Any) -> tuple[str, ...]:
    """Return the dotted fields of a key."""
    names = [alias for name in key.split("+") for alias in _ALIASES.get(name.strip(), (name.strip(),))]
    return tuple(_path(name, model) for name in names)


def _path(name: str, model: Any) -> str:
    head, _, last = name.rpartition(".")
    if not head and name in api_names(model).values():
        return name
    places = [path for path in paths_to(last, model) if not head or path == head or path.endswith(f".{head}")]
    if not places:
        known = [path.rpartition(".")[2] for path in field_paths(model)]
        raise ConfigurationError(f"records have no field {name!r}{did_you_mean(name, known)}")
    return f"{min(places, key=len)}.{last}"


def _add(groups: Groups, lines: Sequence[bytes], *, id_field: str, keys: Mapping[str, tuple[str, ...]]) -> None:
    """Add the records of lines to the groups."""
    groups.add([_record(line, id_field, keys) for line in lines])


def _record(
    line: bytes, id_field: str, keys: Mapping[str, tuple[str, ...]]
) -> tuple[str, Mapping[str, Any], Mapping[str, str]]:
    """Return the id of a record, its values, and those of its keys that have all their values."""
    value = msgspec.json.decode(line)
    record = value if isinstance(value, dict) else {}  # PHP writes an empty record as a list
    shown = {path: value_at(record, path) for paths in keys.values() for path in paths}
    own = {}
    for name, paths in keys.items():
        values = [_normal(path, shown[path]) for path in paths]
        if all(values):
            own[name] = "\x1f".join(values)
    return str(record.get(id_field) or ""), shown, own


def _normal(path: str, value: Any) -> str:
    text = "" if value is None else str(value)
    if ZERO_DATE.fullmatch(text):  # that of everyone whose day is not known
        return ""
    normal = _NORMAL.get(path.rpartition(".")[2])
    return " ".join(text.casefold().split()) if normal is None else normal(text)


class _Belongings:
    """What customers have that could be moved.

    Args:
        client: the client.
    """

    def __init__(self, client: CareCloud) -> None:
        self._client = client
        self.requests = 0

    async def of(self, customer_id: str) -> dict[str, Any] | None:
        """Return what a customer has; what there is none of is left out. `None` if the customer was deleted."""
        if not customer_id:
            return {}  # a record without an id cannot be asked about
        with self._client.record_calls() as calls:
            try:
                belongings = await self._read(customer_id)
            except NotFoundError:
                if await self._is_there(customer_id):
                    raise  # the project has no such list, such as credits
                belongings = None
        self.requests += sum(call.attempts for call in calls)
        return None if belongings is None else {name: value for name, value in belongings.items() if value}

    async def _is_there(self, customer_id: str) -> bool:
        try:
            await self._client.fresh().customers.get(customer_id)
        except NotFoundError:
            return False
        return True

    async def _read(self, customer_id: str) -> dict[str, Any]:
        client, of = self._client, customer_id
        points = [record.available_points async for record in _kept(client.points.list(customer_id=of), of)]
        credits_ = [record.available_credits async for record in _kept(client.credits.list(customer_id=of), of)]
        cards = [record.card_number async for record in _own(client.cards.list(customer_id=of), of)]
        records = client.customers.customer_source_records(customer_id).list().fresh()
        sources = [f"{record.customer_source_id}:{record.external_id}" async for record in records]
        return {"points": _sum(points), "credits": _sum(credits_), "cards": cards, "sources": sources}


async def _kept(listing: Listing[P], customer_id: str) -> AsyncIterator[P]:
    """Yield the customer's records of points or credits that are not deleted; see `_own`."""
    async for record in _own(listing, customer_id):
        if record.state != RecordState.DELETED:
            yield record


async def _own(listing: Listing[R], customer_id: str) -> AsyncIterator[R]:
    """Yield the customer's records of a list that is filtered by the customer.

    Raises:
        ResponseError: one is another customer's, so that the server ignores the filter.
    """
    async for record in listing.fresh():
        owner = getattr(record, "customer_id", None)
        if owner and not same_id(owner, customer_id):
            raise ResponseError(
                f"{listing.export_source().operation.title}: the server ignores the filter customer_id, so that it "
                "cannot be said what a customer has: plan=False finds the groups alone"
            )
        yield record


def _sum(amounts: Iterable[float | None]) -> Decimal:
    """Add amounts by their digits: floats would make 0.30000000000000004 of 0.1 and 0.2."""
    return sum((by_digits(amount) for amount in amounts if amount), Decimal())


async def _write_plans(groups: Groups, belongings: _Belongings | None, path: Path) -> int:
    """Write the groups with their plans, line by line; return the number of requests."""
    numbered = enumerate(groups.groups(), start=1)
    with path.open("wb") as file:
        while (numbered_group := await run_in_thread(lambda: next(numbered, None))) is not None:
            number, group = numbered_group
            owned: list[Mapping[str, Any] | None] = [{} for _ in group]
            plans = ["" for _ in group]
            if belongings is not None:
                owned = [await belongings.of(member.record_id) for member in group]
                plans = _plans(group, owned)
            for member, has, plan in zip(group, owned, plans, strict=True):
                added = {
                    "group": str(number),
                    "record_id": member.record_id,
                    "matched_by": [*member.matched_by],
                    "has": [f"{name}: {_worded(value)}" for name, value in (has or {}).items()],
                    "plan": plan,
                }
                file.write(msgspec.json.encode((member.shown, added)) + b"\n")
    return 0 if belongings is None else belongings.requests


def _plans(group: Sequence[Member], owned: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """Return what to do with each record of a group: the one that has the most is kept, the first of equals.

    Args:
        group: the records.
        owned: what each has; `None` for one that was deleted.
    """
    kept = max(range(len(group)), key=lambda place: (*_weight(owned[place]), -place))
    keeper = group[kept].record_id
    plans = [_GONE if has is None else _moves(has, keeper) for has in owned]
    if owned[kept] is not None:
        plans[kept] = _KEEP
    return plans


def _moves(has: Mapping[str, Any], keeper: str) -> str:
    return f"move {'; '.join(f'{name} to {keeper}' for name in has)}" if has else ""


def _weight(has: Mapping[str, Any] | None) -> tuple[Decimal | int, ...]:
    if has is None:
        return (0,)  # less than anyone who is there, whose points may be below zero
    amounts = (has.get("points", 0), has.get("credits", 0))
    return (1, *amounts, len(has.get("cards", ())), len(has.get("sources", ())))


def _worded(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value.normalize():f}"


def _rows(path: Path) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    for line in lines_of(path):
        shown, added = msgspec.json.decode(line)
        yield shown, added
