"""The secrets of a call, which a server may repeat: what errors and records show of its answer is without them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

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


def texts_under_names(value: Any) -> Iterator[str]:
    """Yield the texts under names of secrets, at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if isinstance(member, str):
                if _SECRET_NAME.search(name):
                    yield member
            else:
                yield from texts_under_names(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts_under_names(member)
