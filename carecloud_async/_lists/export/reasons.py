"""`InexactReason`: why a reading may lack records, and the error of one that was not accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from carecloud_async.errors import ExportError
from carecloud_async.fixes import Fix

__all__ = ["InexactReason", "inexact_error"]


class InexactReason(StrEnum):
    """Why a reading may lack records."""

    GAP = "gap"
    SHORT_OF_TOTAL = "short_of_total"
    KEPT_CHANGING = "kept_changing"
    NO_STABLE_ORDER = "no_stable_order"
    NULL_ENTRIES = "null_entries"
    EMPTIED = "emptied"

    @property
    def seen(self) -> str:
        """What was seen, in one sentence."""
        return _TEXTS[self][0]

    @property
    def fix(self) -> Fix:
        """What helps."""
        return _TEXTS[self][1]

    @property
    def may_pass(self) -> bool:
        """Whether running again may help."""
        return self in _PASSING


_PASSING: Final = {InexactReason.GAP, InexactReason.SHORT_OF_TOTAL, InexactReason.KEPT_CHANGING}
_NO_USE: Final = "running it again does not help"
_TEXTS: Final[Mapping[InexactReason, tuple[str, Fix]]] = {
    InexactReason.GAP: (
        "the list changed faster than it could be read",
        Fix("run it again when the list changes less, or with larger pages"),
    ),
    InexactReason.SHORT_OF_TOTAL: ("the server counts more records than it showed", Fix("run it again")),
    InexactReason.KEPT_CHANGING: (
        "the list kept changing while its latest changes were read",
        Fix("run it again when the list changes less"),
    ),
    InexactReason.NO_STABLE_ORDER: (
        "it is not certain that the server keeps the records in one order",
        Fix(f"{_NO_USE}; carecloud check shows what the server does"),
    ),
    InexactReason.NULL_ENTRIES: (
        "some entries of the list are null, and each may stand for a record",
        Fix(f"{_NO_USE}; ask the project's administrator which records they are"),
    ),
    InexactReason.EMPTIED: (
        "the list is empty, although it had records",
        Fix("check the filters and the rights of this user; if the records were really deleted, pass {allow_shrink}"),
    ),
}


def inexact_error(name: str, reasons: Sequence[InexactReason], *, accept: str, kept: str = "") -> ExportError:
    """Make the error of a reading that may lack records.

    Args:
        name: the list.
        reasons: why.
        accept: the setting that accepts it.
        kept: a sentence on what stays as it was.
    """
    seen, fix = "; ".join(reason.seen for reason in reasons), reasons[0].fix
    step = fix.worded({"allow_shrink": accept})
    if "allow_shrink" not in fix.settings:
        step += f", or accept it with {accept}"
    return ExportError(f"{name} was not read exactly: {seen}{kept and f'. {kept}'}", fix=Fix(step))
