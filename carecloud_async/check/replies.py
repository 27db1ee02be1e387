"""The result of one list request of a check; the server may have sent anything."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

import msgspec
from attrs import field, frozen

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

__all__ = ["Outcome", "Reply", "failed_reply", "read_reply"]


class Outcome(Enum):
    """What became of a request."""

    READ = auto()  #: a page of the list
    HTML = auto()  #: a page of HTML, as proxies and login forms are
    NOT_THE_API = auto()  #: another body than the API's
    FORBIDDEN = auto()  #: 403
    UNAUTHORIZED = auto()  #: 401, with a fresh token too
    ABSENT = auto()  #: 404 or 405
    REFUSED = auto()  #: another 4xx
    RATE_LIMITED = auto()  #: 429 to the end
    FAILED = auto()  #: 5xx
    NO_ANSWER = auto()  #: no connection, or no answer in time
    NOT_SENT = auto()  #: the requests of the check are used up


@frozen(kw_only=True, repr=False)
class Reply:
    """What came back.

    Attributes:
        outcome: what became of the request.
        records: the records of the page that are objects.
        length: the number of entries of the page, objects or not.
        total: the value of `total_items`; `None` if it is absent.
        size: the bytes of the body, unpacked.
        headers: the headers of the answer.
        retry_after: the seconds that a 429 asks to wait.
    """

    outcome: Outcome
    records: tuple[Mapping[str, Any], ...] = ()
    length: int = 0
    total: Any = None
    size: int = 0
    headers: Mapping[str, str] = field(factory=dict)
    retry_after: float | None = None

    @property
    def is_page(self) -> bool:
        """Whether a page of the list came."""
        return self.outcome is Outcome.READ

    @property
    def is_missing(self) -> bool:
        """Whether nothing came that says how the server takes the request: another try may get an answer."""
        return self.outcome in {Outcome.NO_ANSWER, Outcome.RATE_LIMITED, Outcome.NOT_SENT}

    @property
    def count(self) -> int | None:
        """The total where it is a number of records, else `None`."""
        return self.total if type(self.total) is int and self.total >= 0 else None

    def ids(self, name: str) -> tuple[str | int, ...]:
        """Return the ids of its records; a record without one is left out."""
        found = (record.get(name) for record in self.records)
        return tuple(one for one in found if isinstance(one, str | int) and not isinstance(one, bool) and one != "")


def read_reply(body: bytes, headers: Mapping[str, str], *, key: str) -> Reply:
    """Read a success answer, which any server may have written.

    Args:
        body: its body.
        headers: its headers.
        key: the name of the list under `data`.
    """
    if body.lstrip()[:1] == b"<":
        return Reply(outcome=Outcome.HTML, size=len(body), headers=headers)
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        answer = None
    data = answer.get("data") if isinstance(answer, dict) else None
    entries = data.get(key) if isinstance(data, dict) else None
    if data is None or not isinstance(entries, list):
        return Reply(outcome=Outcome.NOT_THE_API, size=len(body), headers=headers)
    return Reply(
        outcome=Outcome.READ,
        records=tuple(one for one in entries if isinstance(one, dict)),
        length=len(entries),
        total=data.get("total_items"),
        size=len(body),
        headers=headers,
    )


_OUTCOMES: tuple[tuple[type[CareCloudError], Outcome], ...] = (
    (AuthenticationError, Outcome.UNAUTHORIZED),
    (PermissionDeniedError, Outcome.FORBIDDEN),
    (NotFoundError, Outcome.ABSENT),
    (MethodNotAllowedError, Outcome.ABSENT),
    (RateLimitError, Outcome.RATE_LIMITED),
    (ServerError, Outcome.FAILED),
    (ApiError, Outcome.REFUSED),
    (ResponseError, Outcome.NOT_THE_API),
)


def failed_reply(error: CareCloudError) -> Reply:
    """Return the outcome that an error means; its text is dropped, since a server can write anything into it."""
    outcome = next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.NO_ANSWER)
    return Reply(outcome=outcome, retry_after=getattr(error, "retry_after", None))
