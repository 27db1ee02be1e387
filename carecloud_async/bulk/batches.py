"""Send rows to a batch endpoint that takes all or none, and find the rows that it refuses.

How the API names the rows at fault of a refused batch is not documented, so each verdict comes from a request of its
own: a batch that was taken, or a row that was refused alone. A refused batch is sent again in parts until the rows at
fault stand alone; what the server says of it only guides the search.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from carecloud_async.errors import ApiError, CareCloudError

__all__ = ["send_batch"]

R = TypeVar("R")


async def send_batch(
    rows: Mapping[int, R],
    *,
    send: Callable[[Sequence[R]], Awaitable[None]],
    is_refusal: Callable[[CareCloudError], bool],
    note: Callable[[Sequence[int], CareCloudError | None], None],
    hinted: bool = True,
) -> None:
    """Send a batch, in parts where some of its rows are refused.

    Args:
        rows: the rows by their numbers.
        send: sends rows in one request. It must undo a request that is refused.
        is_refusal: whether an error is about the rows; another one ends the search.
        note: called for each row once, with the numbers of rows and what became of them: `None` if they are written, an
            error that `may_have_happened` if the answer was lost, else the refusal of one row.
        hinted: whether the rows that the server names stand alone next.

    Raises:
        CareCloudError: an error that is not about the rows. Those that `note` was not called for are not written.
    """
    numbers = [*rows]
    try:
        await send([*rows.values()])
    except CareCloudError as error:
        if error.may_have_happened or (len(rows) == 1 and is_refusal(error)):
            note(numbers, error)
            return
        if not is_refusal(error):
            raise
        parts = (_named(error, numbers) if hinted else None) or _halves(numbers)
    else:
        note(numbers, None)
        return
    for part in parts:
        some = {number: rows[number] for number in part}
        await send_batch(some, send=send, is_refusal=is_refusal, note=note, hinted=False)


def _named(error: CareCloudError, numbers: Sequence[int]) -> list[Sequence[int]] | None:
    """Split off the rows whose places stand in the names of invalid parameters, such as `products[3].name`."""
    params = error.invalid_params if isinstance(error, ApiError) else ()
    places = {int(text) for one in params for text in re.findall(r"\d{1,4}", one.name)}
    named = [numbers[place] for place in sorted(places) if place < len(numbers)]
    if not named or len(named) == len(numbers):
        return None
    return [*([number] for number in named), [number for number in numbers if number not in set(named)]]


def _halves(numbers: Sequence[int]) -> list[Sequence[int]]:
    middle = len(numbers) // 2
    return [numbers[:middle], numbers[middle:]]
