"""`ExportOptions`: the options of one export, written once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from attrs import field, frozen

from carecloud_async.export.errors import BadExportError
from carecloud_async.export.report import OnProgress

__all__ = ["ExportOptions"]


def _positive(_: object, __: object, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadExportError("concurrency must be a whole number from 1 up")


@frozen(kw_only=True)
class ExportOptions:
    """The options of one export; see `Listing.export`.

    Attributes:
        concurrency: pages in flight.
        resume: continue an earlier run to the same target, if there is one.
        overwrite: replace the target if it exists.
        changed_since: write only what changed at or after this time; naive means project-local.
        state: a file that keeps the mark of the last whole run: the first run writes everything, each later one what
            changed since the one before.
        fields: the fields to write, nested ones dotted; `None` for all.
        on_progress: called with a `Progress`; may be async.

    Raises:
        BadExportError: an option cannot work.
    """

    concurrency: int = field(default=8, validator=_positive)
    resume: bool = False
    overwrite: bool = False
    changed_since: datetime | str | None = None
    state: str | os.PathLike[str] | None = None
    fields: Sequence[str] | None = None
    on_progress: OnProgress | None = None

    def __attrs_post_init__(self) -> None:
        if self.state is not None and self.changed_since is not None:
            raise BadExportError("give either state or changed_since: the state file holds the time to begin from")
