"""The result of one list request of a check; the server may have sent anything.

Lists are read as exports read them, so that the check can read what an export can.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, TypeAlias

from attrs import field, frozen

from carecloud_async._base.codec.answers import refusal, success_refusal
from carecloud_async._base.codec.json_text import HTML, Malformed, load
from carecloud_async._base.codec.lists import ListForm, parse_total, split_page
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    CareCloudError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
)

__all__ = ["Outcome", "Record", "Reply", "failed_reply", "read_reply"]

#: A record as the server wrote it: nothing is known of its values.
Record: TypeAlias = Mapping[str, object]


class Outcome(Enum):
    """What became of a request."""

    READ = auto()  #: a page of the list
    NO_CONTENT = auto()  #: a success status with an empty body
    ERROR_AS_SUCCESS = auto()  #: a success status with the API's `error` in the body
    NOT_THE_LIST = auto()  #: a success status with another body than the list
    IN_FRONT = (
        auto()
    )  #: a page of HTML, a redirect, or a refusal that is not the API's: a proxy, a firewall, a login form
    FORBIDDEN = auto()  #: 403
    UNAUTHORIZED = auto()  #: 401, with a fresh token too
    ABSENT = auto()  #: 404 or 405
    REFUSED = auto()  #: another 4xx
    RATE_LIMITED = auto()  #: 429 to the end
    FAILED = auto()  #: 5xx
    NO_ANSWER = auto()  #: no connection, or no answer in time
    GONE = auto()  #: refused, like the plain list a moment later, which had come before
    NOT_SENT = auto()  #: the requests of the check are used up, or too many before it failed


#: The outcomes that show nothing of how the API takes a request: another try may get another answer.
_NO_EVIDENCE: Final = frozenset(
    {
        Outcome.IN_FRONT,
        Outcome.UNAUTHORIZED,
        Outcome.RATE_LIMITED,
        Outcome.FAILED,
        Outcome.NO_ANSWER,
        Outcome.GONE,
        Outcome.NOT_SENT,
    }
)


@frozen(kw_only=True, repr=False)
class Reply:
    """What came back.

    Attributes:
        outcome: what became of the request.
        status: the HTTP status; `None` if no answer came.
        records: the records of the page that are objects.
        length: the number of entries of the page, objects or not.
        total: the number of records of the whole list, as the SDK reads it; `None` if the page does not say it.
        has_total: whether the page has a `total_items`, readable or not.
        form: how the server wrote the list.
        is_damaged: whether its text is broken UTF-8.
        headers: the headers of the answer.
        retry_after: the seconds that a 429 asks to wait.
    """

    outcome: Outcome
    status: int | None = None
    records: tuple[Record, ...] = ()
    length: int = 0
    total: int | None = None
    has_total: bool = False
    form: ListForm = ListForm.LIST
    is_damaged: bool = False
    headers: Mapping[str, str] = field(factory=dict)
    retry_after: float | None = None

    @classmethod
    def unsent(cls) -> Reply:
        """Return the reply to a request that was not sent."""
        return cls(outcome=Outcome.NOT_SENT)

    @property
    def is_page(self) -> bool:
        """Whether a page of the list came."""
        return self.outcome is Outcome.READ

    @property
    def is_evidence(self) -> bool:
        """Whether it shows how the API takes the request: it did what was asked, or refused it in its own words."""
        return self.outcome not in _NO_EVIDENCE

    def ids(self, name: str) -> tuple[str, ...]:
        """Return the ids of its records; a record without one is left out."""
        found = (record.get(name) for record in self.records)
        return tuple(
            str(one) for one in found if isinstance(one, str | int) and not isinstance(one, bool) and one != ""
        )

    def __str__(self) -> str:
        """Return the outcome in words, for findings."""
        words = _WORDS[self.outcome]
        return words if self.status is None else f"{words} (status {self.status})"


_WORDS: Final[Mapping[Outcome, str]] = {
    Outcome.READ: "the list came",
    Outcome.NO_CONTENT: "an answer without a body",
    Outcome.ERROR_AS_SUCCESS: "an error with a success status",
    Outcome.NOT_THE_LIST: "an answer that is not the list",
    Outcome.IN_FRONT: "the answer of something in front of CareCloud",
    Outcome.FORBIDDEN: "refused for want of a right",
    Outcome.UNAUTHORIZED: "the token was refused",
    Outcome.ABSENT: "not found",
    Outcome.REFUSED: "refused",
    Outcome.RATE_LIMITED: "too many requests",
    Outcome.FAILED: "the server failed",
    Outcome.NO_ANSWER: "no answer",
    Outcome.GONE: "refused, and the list itself does not come any more",
    Outcome.NOT_SENT: "not sent",
}


def read_reply(body: bytes, *, key: str, offset: int) -> Reply:
    """Read the body of a success answer, which any server may have written; status and headers are not set.

    Args:
        key: the name of the list under `data`.
        offset: where the page begins.
    """
    if not body:
        return Reply(outcome=Outcome.NO_CONTENT)
    if success_refusal(body) is not None:
        return Reply(outcome=Outcome.ERROR_AS_SUCCESS)
    try:
        page = split_page(body, key, offset=offset)
        entries = [load(record) for record in page.records]
    except Malformed as error:
        return Reply(outcome=_without_list(body, str(error)))
    return Reply(
        outcome=Outcome.READ,
        records=tuple(one for one in entries if isinstance(one, dict)),
        length=len(entries),
        total=parse_total(page.total),
        has_total=page.total is not None,
        form=page.form,
        is_damaged=not is_utf8(body),
    )


def is_utf8(body: bytes) -> bool:
    """Return whether the text of a body is sound; in other text the SDK replaces what it cannot read."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_list(body: bytes, problem: str) -> Outcome:
    if problem == HTML:
        return Outcome.IN_FRONT
    return Outcome.NOT_THE_LIST if refusal(body) is None else Outcome.ERROR_AS_SUCCESS


_OUTCOMES: Final[tuple[tuple[type[ApiError], Outcome], ...]] = (
    (AuthenticationError, Outcome.UNAUTHORIZED),
    (PermissionDeniedError, Outcome.FORBIDDEN),
    (NotFoundError, Outcome.ABSENT),
    (MethodNotAllowedError, Outcome.ABSENT),
    (RateLimitError, Outcome.RATE_LIMITED),
    (ServerError, Outcome.FAILED),
)


def failed_reply(error: CareCloudError) -> Reply:
    """Return the outcome that an error means; its text is dropped, since a server can write anything into it."""
    if isinstance(error, ResponseError):
        # Without a status the body was read and was of no use: too large, or packed in a way that cannot be unpacked.
        outcome = Outcome.NOT_THE_LIST if error.status is None else Outcome.IN_FRONT
        return Reply(outcome=outcome, status=error.status)
    if not isinstance(error, ApiError):
        return Reply(outcome=Outcome.NO_ANSWER)
    outcome = next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.REFUSED)
    return Reply(outcome=outcome, status=error.status, retry_after=error.retry_after)
