"""What a token store promises: one small record per identity, and a lock around its renewal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager

from attrs import field, frozen


def _masked(value: object) -> str:
    return "'***'" if value else repr(value)


@frozen(kw_only=True)
class StoredToken:
    """A token as a store keeps it.

    Attributes:
        value: the bearer token; never shown.
        expires_in: seconds it may still be used, counted from the moment this value was made (when saving) or loaded
            (when loading). `None`: it does not end by time (device tokens).
        customer_id: the customer that the token is bound to, if any.
        proof: a slow salted hash of the secret that obtained the token, so that a holder of another secret cannot
            borrow it; `None` where nothing needs proving.
    """

    value: str = field(repr=_masked)
    expires_in: float | None = None
    customer_id: str | None = None
    proof: str | None = field(default=None, repr=_masked)


class TokenStore(ABC):
    """Where tokens live between calls, tasks and, if `shared`, processes.

    Keys hold the project, the interface, the application and a digest of the identity: never a secret, never an
    e-mail. Every method raises `TokenStoreError` when the store cannot be reached or used.
    """

    #: Whether other processes see what this one saves.
    shared: bool = False

    @abstractmethod
    async def load(self, key: str) -> StoredToken | None:
        """Return the record under `key`, or `None` when there is none, it has ended, or it cannot be read."""

    @abstractmethod
    async def save(self, key: str, token: StoredToken) -> None:
        """Keep `token` under `key`, replacing what is there, whole or not at all."""

    @abstractmethod
    async def discard(self, key: str, value: str) -> None:
        """Forget the record under `key` if it still holds the token `value`; another one stays."""

    @abstractmethod
    def lock(self, key: str) -> AbstractAsyncContextManager[None]:
        """Return a lock on `key`: while it is held, nobody else with this store renews that token.

        It is taken on entering and waits, cancellable, as long as it must. Holding it twice waits for itself; locks on
        two keys do not meet. A holder that dies gives it back within a bounded time.
        """

    async def aclose(self) -> None:  # noqa: B027  (optional: most stores hold nothing open)
        """Give back what this store has opened by itself; the records stay."""
