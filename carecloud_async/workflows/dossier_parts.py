"""The parts of a dossier, with what became of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import attrs
import msgspec
from attrs import frozen

__all__ = ["NOT_GIVEN", "DossierPart", "PartStatus"]

#: Data that the API does not provide, or only one record at a time, as texts for the index.
NOT_GIVEN: Final = (
    "The password and logins through social networks: the API takes them and never shows them.",
    "Deleted and earlier versions of records: the API shows records as they are now.",
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
