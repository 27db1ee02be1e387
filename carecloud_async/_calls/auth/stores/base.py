"""The interface of a token store: one small record per identity, and a lock for its renewal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import count

from attrs import field, frozen
from attrs.converters import optional

from carecloud_async._base.runtime.clock import doubled
from carecloud_async._base.runtime.secret_text import plain_text

__all__ = ["StoredToken", "TokenStore"]


def _masked(value: object) -> str:
    return "'***'" if value else repr(value)


@frozen(kw_only=True)
class StoredToken:
    """A stored token.

    Attributes:
        value: the bearer token; never shown.
        expires_in: seconds it may still be used, counted from the moment this value was made (when saving) or loaded
            (when loading). `None`: it does not end by time (device tokens).
        customer_id: the customer that the token is bound to, if any.
        secret_hash: a slow salted hash of the secret that obtained the token, so that a holder of another secret cannot
            use it; `None` if no secret is required.
        keep_for: seconds for which the store keeps the record of a token that does not end by time, counted again from
            each save and each load; then it may drop it. `None`: no such limit.
    """

    # Plain text, which a store of a user's own can hand to any encoder.
    value: str = field(repr=_masked, converter=plain_text)
    expires_in: float | None = None
    customer_id: str | None = field(default=None, converter=optional(plain_text))
    secret_hash: str | None = field(default=None, converter=optional(plain_text), repr=_masked)
    keep_for: float | None = None


class TokenStore(ABC):
    """Keeps tokens between calls, tasks and, if `shared`, processes.

    Keys hold the project, the interface, the application and a digest of the identity: never a secret, never an
    e-mail. Every method raises `TokenStoreError` when the store cannot be reached or used.
    """

    #: Whether other processes see what this one saves.
    shared: bool = False

    @abstractmethod
    async def load(self, key: str) -> StoredToken | None:
        """Return the record under `key`; `None` if there is none, it has ended, or it cannot be read.

        Loading a record with `keep_for` renews that time.
        """

    @abstractmethod
    async def save(self, key: str, token: StoredToken) -> None:
        """Save `token` under `key`; replaces the record there atomically."""

    @abstractmethod
    async def discard(self, key: str, value: str) -> None:
        """Delete the record under `key` if it still holds the token `value`."""

    @abstractmethod
    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """Return a lock on `key`: while it is held, no other user of this store renews that token.

        Entering it waits as long as necessary, and can be cancelled. It is not reentrant; locks on two keys are
        independent. The lock of a holder that dies is released within a bounded time.
        """

    async def aclose(self) -> None:  # noqa: B027  (optional: most stores hold nothing open)
        """Close the connections and files that this store opened; the records stay."""


def backoff_delays(*, first: float, longest: float, jitter: Callable[[], float]) -> Iterator[float]:
    """Yield waits without end: doubling, bounded, and randomized so that waiters do not retry in step.

    Args:
        first: seconds of the first wait before scattering.
        longest: seconds that no wait exceeds.
        jitter: a source of numbers in [0, 1).
    """
    for times in count():
        yield doubled(first, times, longest=longest) * (0.5 + jitter() / 2)
