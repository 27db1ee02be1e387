"""`Notes`: what a run notices in its rows that refuses none of them by itself."""

from __future__ import annotations

import logging

from attrs import frozen

from carecloud_async.fixes import PHONE_PREFIX

__all__ = ["Notes"]

_log = logging.getLogger("carecloud_async.bulk")


@frozen(kw_only=True)
class Notes:
    """Remarks about the rows, made while they are read and before any is sent.

    Attributes:
        unprefixed_phones: phone numbers without an international prefix that were taken as they are.
        repeats: rows that are refused because an earlier row has their key, or their card.
    """

    unprefixed_phones: int = 0
    repeats: int = 0

    def warn(self) -> None:
        """Warn of each, once, with its number."""
        if self.unprefixed_phones:
            _log.warning(
                "%s: %s, to complete them; without it they are sent as they are",
                _counted(self.unprefixed_phones, "phone number has", "phone numbers have", "no international prefix"),
                PHONE_PREFIX,
            )
        if self.repeats:
            _log.warning(
                "%s: these rows are refused, also where the earlier row is refused itself",
                _counted(self.repeats, "row has", "rows have", "the key or the card of an earlier row"),
            )


def _counted(count: int, one: str, several: str, what: str) -> str:
    return f"{count:,} {one if count == 1 else several} {what}"
