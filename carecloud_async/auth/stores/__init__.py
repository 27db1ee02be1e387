"""Token stores: for one process, one host, many hosts; each is imported only when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from carecloud_async.auth.stores.base import StoredToken, TokenStore

if TYPE_CHECKING:
    from carecloud_async.auth.stores.file import FileTokenStore
    from carecloud_async.auth.stores.memory import MemoryTokenStore
    from carecloud_async.auth.stores.redis import RedisTokenStore

__all__ = ["FileTokenStore", "MemoryTokenStore", "RedisTokenStore", "StoredToken", "TokenStore"]

_MODULES = {"FileTokenStore": "file", "MemoryTokenStore": "memory", "RedisTokenStore": "redis"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    store = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = store
    return store


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
