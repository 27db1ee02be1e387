"""What a call comes to: a response before its data is decoded, and a decoded answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

T = TypeVar("T")


@frozen
class RawResponse:
    """A response with a success status.

    Attributes:
        status: the HTTP status, 2xx.
        headers: its headers; names are case-insensitive.
        body: its bytes, decompressed.
        sent_at: when the attempt began, on the monotonic clock.
        attempts: the number of attempts made; see `CallRecord.attempts`.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: float
    attempts: int = 1


@frozen
class Answer(Generic[T]):
    """A decoded answer and its response.

    Attributes:
        data: what `CallRequest.decode` made of the body.
    """

    data: T
    response: RawResponse
