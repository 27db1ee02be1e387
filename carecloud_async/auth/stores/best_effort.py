"""BestEffortStore: a token store whose failures cost a login, never a call."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from carecloud_async.auth.stores.base import StoredToken, TokenStore
from carecloud_async.errors import TokenStoreError

_log = logging.getLogger("carecloud_async.auth")


class BestEffortStore(TokenStore):
    """Wraps a store for identities that lose nothing by an own login (users of the enterprise interface)."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self.shared = store.shared

    async def load(self, key: str) -> StoredToken | None:
        """Load, or find nothing where the store fails."""
        try:
            return await self._store.load(key)
        except TokenStoreError as error:
            self._warn(error)
            return None

    async def save(self, key: str, token: StoredToken) -> None:
        """Save, or leave it."""
        try:
            await self._store.save(key, token)
        except TokenStoreError as error:
            self._warn(error)

    async def discard(self, key: str, value: str) -> None:
        """Discard, or leave it."""
        try:
            await self._store.discard(key, value)
        except TokenStoreError as error:
            self._warn(error)

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncIterator[None]:
        """Lock, or go on without."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._store.lock(key))
            except TokenStoreError as error:
                self._warn(error)
            yield

    @staticmethod
    def _warn(error: TokenStoreError) -> None:
        _log.warning("token store unusable, logging in without it: %s", error)
