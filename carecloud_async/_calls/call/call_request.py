"""CallRequest: the arguments of one call, before anything is encoded."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from carecloud_async._calls.call.operation import Operation

T = TypeVar("T")


@frozen(eq=False)
class CallRequest(Generic[T]):
    """The arguments of one call.

    Attributes:
        operation: the operation.
        decode: turns the body of the answer into the result; raises `codec.Malformed` for what the API never sends.
        path_params: values of the path's placeholders.
        params: query parameters; `None` values are left out.
        json: the body.
        bearer: a token to send instead of the identity's own.
        headers: headers to add to the request.
        login: whether it is a login: any refusal is then about credentials, and other calls wait for it.
        slices: decodes a large body in slices, with the same result as `decode`; see `CooperativeScheduler`.
    """

    operation: Operation
    decode: Callable[[bytes], T] = field(kw_only=True, repr=False)
    path_params: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
    params: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
    json: Any = field(default=None, kw_only=True, repr=False)
    bearer: str | None = field(default=None, kw_only=True, repr=False)
    headers: Mapping[str, str] | None = field(default=None, kw_only=True, repr=False)
    login: bool = field(default=False, kw_only=True)
    slices: Callable[[bytes], Generator[None, None, T]] | None = field(default=None, kw_only=True, repr=False)
