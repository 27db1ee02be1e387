"""The secrets of a call, which a server may repeat: what errors and records show of its answer is without them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from carecloud_async._base.codec.json_text import load
from carecloud_async._calls.auth.secret import secrets_of
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.requests import PreparedCall

_STARS = "***"
#: Names of fields and placeholders whose values are secret: `password`, `push_token`, `login`, `login_value`.
_SECRET_NAME = re.compile(r"password|token|secret|login(?!_type)")
#: Shorter secrets are hidden only where they stand alone: they may be parts of ordinary words.
_LONG = 8
#: The API's own reasons. They reveal nothing, though a customer may have one as the password, and callers compare them.
_REASONS = frozenset({
    "already_exists", "deleted", "empty", "invalid_value_format", "not_allowed_value",
    "not_belong_to_logged_in_customer", "not_found", "relation_already_exists", "required"
})  # fmt: skip


class CallSecrets:
    """The secrets of one call: its tokens, those of its identity, and what its arguments hold.

    Args:
        call: the call.
        tokens: the identity's tokens, or `None` for a call that carries none of the identity's.

    Attributes:
        tokens: the values of the tokens that it was sent with.
    """

    __slots__ = ("_call", "_tokens", "tokens")

    def __init__(self, call: PreparedCall, tokens: Tokens | None) -> None:
        self._call = call
        self._tokens = tokens
        self.tokens: list[str] = []

    def texts(self) -> frozenset[str]:
        """Return the secrets as texts."""
        request = self._call.request
        found = [*self.tokens, *_under_names(request.path_params), *_under_names(request.params)]
        if request.bearer is not None:
            found.append(request.bearer)
        if self._call.body:
            found += _under_names(load(self._call.body))
        if self._tokens is not None:
            found += secrets_of(self._tokens.provider)
        return frozenset(filter(None, found))

    def hide(self, text: str) -> str:
        """Return a text of the answer with stars in place of the secrets."""
        return Hiding(self.texts())(text)


class Hiding:
    """Puts stars in place of secrets, in upper or lower case.

    Args:
        secrets: the secrets.
    """

    def __init__(self, secrets: frozenset[str]) -> None:
        self._secrets = sorted((secret.casefold() for secret in secrets), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without the secrets."""
        folded = text.casefold()
        found = [secret for secret in self._secrets if secret in folded]
        if not found or text in _REASONS:
            return text
        patterns = (re.escape(one) if len(one) >= _LONG else rf"(?<!\w){re.escape(one)}(?!\w)" for one in found)
        return re.sub("|".join(patterns), _STARS, text, flags=re.IGNORECASE)


def _under_names(value: Any) -> Iterator[str]:
    """Yield the texts under names of secrets, at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if isinstance(member, str):
                if _SECRET_NAME.search(name):
                    yield member
            else:
                yield from _under_names(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _under_names(member)
