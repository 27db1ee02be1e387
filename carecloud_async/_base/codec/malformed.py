"""`Malformed`: the body does not have the API's form. The reason never quotes the body."""

from __future__ import annotations

import msgspec

__all__ = ["HTML", "BrokenJson", "Malformed", "json_kind", "why_not_json"]


HTML = "the body looks like HTML, not JSON"


class Malformed(ValueError):  # noqa: N818  (read as `codec.Malformed`; users of the SDK get a ResponseError)
    """A body or value does not have the API's form; the text is a short reason without content."""


class BrokenJson(Malformed):
    """The body is neither JSON nor HTML: it was truncated or damaged in transit. A retry may help."""


def json_kind(value: object) -> str:
    """Name the JSON kind of a Python value, with its article: `an object`, `a list`, `null`.

    A `msgspec.Raw` is a number, see `load_spelled`.
    """
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    return "a number" if isinstance(value, (int, float, msgspec.Raw)) else "of an unknown kind"


def why_not_json(body: bytes) -> str:
    """Describe a body that is not JSON."""
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return "the body is empty"
    if start.startswith(b"<"):
        return HTML
    return "the body is not JSON"
