"""Secrets in settings: given as text or fetched by a callable, shown as stars, compared by digests.

A stored customer session is given only to a caller that knows the secret of its login. Without this check, a login page
that derives device ids from e-mail addresses would give a session to anyone who enters the e-mail and any password.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from carecloud_async._base.runtime.secret_text import SecretText, secret_text
from carecloud_async._base.runtime.threads import ThreadLimit, run_in_thread
from carecloud_async._base.runtime.validators import is_unicode
from carecloud_async.errors import ConfigurationError

Secret = str | Callable[[], str | Awaitable[str]]

_NOT_UNICODE = "text that is not UTF-8: save it, or set its environment variable, in UTF-8"

_PROCESS_KEY = secrets.token_bytes(32)
# A shared store outlives the process and may be stolen: its hash of a person's password must be slow to compute.
_SCRYPT_COST = {"n": 2**12, "r": 8, "p": 1, "dklen": 32}
#: A separate limit: a login must not wait for threads that wait for a login. Hashing is pure computation, so more
#: threads than processors would not help.
_HASHING = ThreadLimit("hashing", os.cpu_count() or 1)


def masked(_: object) -> str:
    """Return stars, as the `repr` of an attribute that holds a secret."""
    return "'***'"


def secret_setting(value: Secret) -> Secret:
    """Convert text to `SecretText`; return a callable unchanged."""
    return value if callable(value) else secret_text(value)


def require_text(instance: Any, attribute: Any, value: Any) -> None:
    """Raise unless a setting is non-empty text; the message names the setting, not the value."""
    where = f"{type(instance).__name__}: {attribute.name}"
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{where} is empty or not text")
    if not is_unicode(value):
        raise ConfigurationError(f"{where} is {_NOT_UNICODE}")


def require_secret(instance: Any, attribute: Any, value: Any) -> None:
    """Raise unless a secret is non-empty text or a callable that returns it."""
    if not callable(value):
        require_text(instance, attribute, value)


async def resolve_secret(secret: Secret) -> str:
    """Return a secret that was given as text or as a sync or async callable.

    Raises:
        ConfigurationError: the callable returned something else than non-empty text.
        Exception: whatever the callable raises.
    """
    if isinstance(secret, str):
        return secret_text(secret)
    fetch: Callable[[], Any] = secret
    value: Any = fetch()
    if inspect.isawaitable(value):
        value = await value
    text = secret_text(value) if isinstance(value, str) else ""
    del value  # a traceback with local variables would show bytes
    if not text:
        raise ConfigurationError("the callable given for a password must return it as non-empty text")
    if not is_unicode(text):
        raise ConfigurationError(f"the callable given for a password returned {_NOT_UNICODE}")
    return text


def secrets_of(identity: object) -> Iterator[str]:
    """Yield the secret texts that an identity holds, with those of its device; none that callables fetch."""
    for attribute in getattr(identity, "__attrs_attrs__", ()):
        value = getattr(identity, attribute.name)
        if isinstance(value, SecretText):
            yield value
        else:
            yield from secrets_of(value)


def digest(*parts: str) -> str:
    """Digest the parts that name an identity, for `AuthProvider.identity_key`."""
    joined = SecretText("\x1f".join(parts))
    return hashlib.sha256(joined.encode()).hexdigest()[:32]


async def hash_secret(secret: str, *, shared: bool) -> str:
    """Return a hash of a secret: slow and salted where other processes can read it."""
    return await _scrypt(secret, secrets.token_hex(16)) if shared else keyed_digest(secret)


async def verify_secret(secret_hash: str | None, secret: str) -> bool:
    """Return whether `hash_secret` made the hash from this secret."""
    if not secret_hash or not secret_hash.isascii():  # damaged: `hash_secret` makes ASCII
        return False
    kind, _, rest = secret_hash.partition("$")
    expected = await _scrypt(secret, rest.partition("$")[0]) if kind == "scrypt" else keyed_digest(secret)
    return hmac.compare_digest(secret_hash, expected)


def keyed_digest(secret: str) -> str:
    """Return a digest of a secret that is of use in this process alone."""
    return "process$" + hmac.new(_PROCESS_KEY, secret.encode(), hashlib.sha256).hexdigest()


async def _scrypt(secret: str, salt: str) -> str:
    key = await run_in_thread(
        lambda: hashlib.scrypt(secret.encode(), salt=salt.encode(), **_SCRYPT_COST), limit=_HASHING
    )
    return f"scrypt${salt}${key.hex()}"
