"""The values of an outbox's queue: those put into it, those taken from it, and those shown to a person."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.errors import CareCloudError
from carecloud_async.fixes import Fix
from carecloud_async.outbox.errors import OutboxError

__all__ = ["FailedEntry", "NewEntry", "QueuedEntry", "WaitingEntry", "problem_of", "problem_words"]


@frozen(kw_only=True)
class NewEntry:
    """An entry to be put into the queue.

    Attributes:
        kind: the name of its kind.
        key: its key in the form in which keys are compared.
        once: a key that only one entry may have; `None` for changes, which may follow one another in any number.
        lane: entries of one lane are sent in their order.
        follows: the `once` of an entry that must be sent before, if it waits.
        label: what a person reads: the operation and the key, where that is no personal datum.
        body: what is sent.
    """

    kind: str
    key: str = field(repr=False)
    once: str | None = field(default=None, repr=False)
    lane: str = field(repr=False)
    follows: str | None = field(default=None, repr=False)
    label: str
    body: bytes = field(repr=False)


@frozen(kw_only=True)
class QueuedEntry:
    """An entry whose turn has come.

    Attributes:
        id: its number.
        kind: the name of its kind.
        is_new: whether nothing was begun with it.
    """

    id: int
    kind: str
    is_new: bool


@frozen(kw_only=True)
class FailedEntry:
    """An entry that the API refused, or whose outcome cannot be determined.

    Attributes:
        id: its number.
        label: the operation and, where it is no personal datum, the key.
        put_at: when it was put (seconds since 1970).
        outcome: `refused`, `conflict` or `unknown`; see `carecloud_async.bulk.Outcome`.
        reasons: why; never a value.
    """

    id: int
    label: str
    put_at: float
    outcome: str
    reasons: tuple[str, ...]


@frozen(kw_only=True)
class WaitingEntry:
    """An entry that has no outcome, in an outbox that sends nothing now.

    Attributes:
        id, label, put_at: see `FailedEntry`.
        after: the number of the entry that must have ended before; `None` if its turn has come.
        is_lost: whether it was sent, or may have been, and its answer is not known.
        fault: what the server answered to it, if that was a 5xx.
        due_in: seconds until what was lost may be sent again; `None` if they count from the next opening of the outbox.
        problem: why its program could not send it, if it had closed the outbox.
    """

    id: int
    label: str
    put_at: float
    after: int | None = None
    is_lost: bool = False
    fault: str | None = None
    due_in: float | None = None
    problem: CareCloudError | None = None


def problem_words(error: Exception) -> tuple[str, str | None]:
    """Return an error as the file keeps it: its text, and the step of its fix."""
    if not isinstance(error, CareCloudError):
        return type(error).__name__, None  # whose text may hold a value
    return error.problem, None if error.fix is None else error.fix.step


def problem_of(text: str, step: str | None) -> CareCloudError:
    """Return an error that the file has kept."""
    return OutboxError(text, fix=None if step is None else Fix(step))
