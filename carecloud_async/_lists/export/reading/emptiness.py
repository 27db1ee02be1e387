"""Whether a list that had records is really empty: a right that is gone and a server that starts look the same."""

from __future__ import annotations

import logging

from carecloud_async._lists.export.source import ExportSource
from carecloud_async.errors import BadRequestError

__all__ = ["is_believed_empty"]

_log = logging.getLogger("carecloud_async.export")

#: Seconds before the list is asked again: a server that starts needs a moment.
_PAUSE = 2.0

#: What decides the order of a list, and not what it holds.
_SORT = {"sort_field", "sort_direction"}


async def is_believed_empty(source: ExportSource) -> bool:
    """Return whether an empty list is believed that had records in the last run; takes at most two small requests.

    It is if its filters hide records that the list has without them. An unfiltered list is never believed to be empty.

    Args:
        source: the list.

    Raises:
        CareCloudError: it could not be asked again.
    """
    filters = {name: value for name, value in source.params.items() if name not in _SORT and value is not None}
    await source.clock.sleep(_PAUSE)
    try:
        others = bool(filters) and await _has_records(source, {})
    except BadRequestError:  # a filter that the list needs
        others = False
    if others and not await _has_records(source, filters):
        return True
    _log.warning(
        "%s: the list is empty, and had records in the last run: a right of this user or the server may be at fault. "
        "The report is not exact; if they were really deleted, pass allow_shrink=True (--allow-shrink)",
        source.name,
    )
    return False


async def _has_records(source: ExportSource, filters: dict[str, object]) -> bool:
    page = {"count": 1, "offset": 0} if source.operation.paged else {}
    found = (await source.fetch({**filters, **page})).data
    return bool(found.items) or bool(found.total_items)
