"""`Change` and `ChangesReport`: the results of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Generic, Literal, TypeVar

from attrs import field, frozen

from carecloud_async._lists.export.errors import BadExportError
from carecloud_async._lists.export.report import OnProgress
from carecloud_async._lists.paging.auto import AUTO, Auto

__all__ = ["Change", "ChangesOptions", "ChangesReport", "Kind"]

T = TypeVar("T")

Kind = Literal["created", "updated", "deleted"]


@frozen(kw_only=True)
class Change(Generic[T]):
    """One change of a list.

    Attributes:
        kind: `created`, `updated` or `deleted`.
        id: the record's id; a digest of its text where it has none: such a record is deleted and created instead of
            updated. Records with the same id are one that is deleted with the last of them.
        record: the current record; `None` of a deleted one.
        fields: the dotted fields of an updated record that differ, where the state stores records; empty otherwise.
        raw: the record as the server sent it, as one line of JSON; `None` of a deleted one.
    """

    kind: Kind
    id: str
    record: T | None = field(default=None, repr=False)
    fields: tuple[str, ...] = ()
    raw: bytes | None = field(default=None, repr=False)


@frozen(kw_only=True)
class ChangesReport:
    """The result of a comparison.

    Attributes:
        created, updated, deleted: the number of changes of each kind, including those of an unfinished run.
        unchanged: the number of records that were read and are unchanged.
        exact: whether the reading was exact. If not, deletions wait for a later run.
        compared: whether the whole list was compared; `False` for a run between two comparisons (`compare_every`).
        requests, retries, seconds, passes, list_changed, total: see `ExportReport`.
        finished_before: whether the file is from an earlier run that was killed before it could report it.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    exact: bool = False
    compared: bool = True
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    passes: int = 1
    list_changed: bool = False
    total: int | None = None
    finished_before: bool = False

    @property
    def counts(self) -> Mapping[str, int]:
        """The numbers of changes, by kind."""
        return {"created": self.created, "updated": self.updated, "deleted": self.deleted}


def _positive(_: object, __: object, value: timedelta | None) -> None:
    if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
        raise BadExportError("compare_every must be a timedelta greater than zero, such as timedelta(days=7)")


def _keep(_: object, __: object, value: object) -> None:
    if value not in {"digests", "records"}:
        raise BadExportError("keep must be 'digests' or 'records'")


@frozen(kw_only=True)
class ChangesOptions:
    """The options of a comparison; see `Listing.changes`."""

    keep: Literal["digests", "records"] = field(default="digests", validator=_keep)
    compare_every: timedelta | None = field(default=None, validator=_positive)
    allow_shrink: bool = False
    concurrency: int | Auto = AUTO
    on_progress: OnProgress | None = None
