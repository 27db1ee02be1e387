"""References in notes: how points and credits get a key, which the API does not give them.

A reference stands at the beginning of the note, where a server that shortens notes leaves it, in a form that a person
can read: `[ref: bill-2231] Birthday bonus`. The history of the customer is searched for it, as a part of the note. What
the server finds is only a hint: the whole reference must be equal, so that `B1` is not `B10`. What is taken has a minus
behind it, `[ref: bill-2232]- Birthday bonus`, since the amounts of a history may be without signs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from carecloud_async.bulk.pages import read_records
from carecloud_async.errors import ConfigurationError

if TYPE_CHECKING:
    from carecloud_async._lists.listings.listing import Listing


#: Characters that no server escapes, shortens or splits.
_REFERENCE: Final = re.compile(r"[A-Za-z0-9._:/#+@-]{1,64}")
_IN_NOTE: Final = re.compile(r"\[ref: ([A-Za-z0-9._:/#+@-]{1,64})\](-?)")


def note_with_reference(note: str | None, reference: str, *, takes: bool = False) -> str:
    """Return a note that holds a reference, such as `[ref: bill-2231] Birthday bonus`.

    Args:
        note: the note; `None` for none.
        reference: 1 to 64 ASCII letters, digits and `- _ . : / # + @`.
        takes: whether the operation takes its amount.

    Raises:
        ConfigurationError: the reference has other characters, or the note holds one already.
    """
    tag = search_text(reference) + ("-" if takes else "")
    if note and _IN_NOTE.search(note):
        raise ConfigurationError("the note holds a reference already: give it in reference= alone")
    return f"{tag} {note}" if note else tag


def search_text(reference: str) -> str:
    """Return what a history is searched for, as a part of the note.

    Raises:
        ConfigurationError: the reference has characters that references do not have.
    """
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise ConfigurationError("a reference is 1 to 64 letters (A to Z), digits and - _ . : / # + @")
    return f"[ref: {reference}]"


def reference_in(note: Any) -> str | None:
    """Return the reference that a note holds; `None` without one. Upper and lower case differ."""
    match = _IN_NOTE.search(note) if isinstance(note, str) else None
    return None if match is None else match[1]


def is_taken(note: Any) -> bool:
    """Return whether a note says that its operation takes the amount; one of another program may not say it."""
    match = _IN_NOTE.search(note) if isinstance(note, str) else None
    return match is not None and match[2] == "-"


async def find_by_reference(history: Listing[Any], *, note_field: str, reference: str) -> Sequence[bytes]:
    """Return the records of a history that have a reference.

    Args:
        history: the history of one customer, filtered by `search_text(reference)` as a part of the note.
        note_field: the field of a record that is its note.

    Raises:
        ExportError: what the server found cannot be read exactly.
        CareCloudError: the server cannot be reached, or refuses the client.
    """
    lines = await read_records(history)
    return [line for line in lines if reference_in(msgspec.json.decode(line).get(note_field)) == reference]
