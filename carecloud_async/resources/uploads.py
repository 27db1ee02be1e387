"""Uploads: read, measured and encoded before anything is sent."""

from __future__ import annotations

import binascii
import functools
import inspect
from base64 import b64encode
from os import PathLike
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from carecloud_async._base.runtime.secret_text import SecretText
from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._base.runtime.validators import expected
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.messages import MessageInput, UploadMethod

_MEGABYTE: Final = 1024 * 1024
#: The API's limits.
MAX_PHOTO_BYTES: Final = 2 * _MEGABYTE
MAX_ATTACHMENT_BYTES: Final = _MEGABYTE


async def _encoded(file: Any, *, name: str, most: int) -> str:
    """Read a file, check its size, and return it in base64; the text prints as stars.

    Args:
        file: bytes, a path, a file open in binary mode or base64 text; a file object is read from where it stands, and
            not closed.
        name: the argument's name, for errors.
        most: the most bytes that the API takes. No more is read than shows that there are too many.

    Raises:
        ConfigurationError: it is empty, too large or not of these kinds, or cannot be read; nothing was sent.
    """
    if isinstance(file, str):
        _require_size(_decoded_size(file, name), name=name, most=most)
        return SecretText(file)
    content = await _content(file, name=name, size=most + 1)
    _require_size(len(content), name=name, most=most)
    return SecretText(b64encode(content).decode("ascii"))


async def encode_photo(body: dict[str, Any]) -> None:
    """Encode the photo that a body has under `data`; for `prepare=` of an operation."""
    body["data"] = await _encoded(body["data"], name="data", most=MAX_PHOTO_BYTES)


async def encode_attachments(body: dict[str, Any]) -> None:
    """Encode the attachments of the `message` in a body; for `prepare=` of an operation."""
    message: MessageInput = body["message"]
    if not message.attachments:
        return
    attachments = []
    for number, attachment in enumerate(message.attachments):
        name = f"attachments[{number}].file_data"
        if attachment.upload_method == UploadMethod.BASE64:
            encoded = await _encoded(attachment.file_data, name=name, most=MAX_ATTACHMENT_BYTES)
            attachment = evolve(attachment, file_data=encoded)
        elif not isinstance(attachment.file_data, str):
            raise ConfigurationError(f"{name} is a file: its upload_method must be UploadMethod.BASE64")
        attachments.append(attachment)
    body["message"] = evolve(message, attachments=attachments)


async def _content(file: Any, *, name: str, size: int) -> bytes:
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    try:
        if isinstance(file, PathLike):
            content: Any = await run_in_thread(lambda: _read_path(Path(file), size))
        elif callable(getattr(file, "read", None)) and not isinstance(file, type):
            content = await _read(file, size)
        else:
            raise ConfigurationError(f"{name}: {expected('bytes, a path, a file or base64 text', file)}")
    except OSError as error:
        # The path may hold a customer's name.
        raise ConfigurationError(f"{name} cannot be read: {error.strerror or type(error).__name__}") from None
    if not isinstance(content, bytes):
        raise ConfigurationError(f'{name} must be open in binary mode: open(path, "rb")')
    return content


async def _read(file: Any, size: int) -> Any:
    content = b""
    while len(content) < size:  # a raw file or a pipe may return less than was asked for
        if inspect.iscoroutinefunction(file.read):
            part = await file.read(size - len(content))
        else:
            part = await run_in_thread(functools.partial(file.read, size - len(content)))
        if inspect.isawaitable(part):
            part = await part
        if not isinstance(part, bytes):
            return part
        if not part:
            break
        content += part
    return content


def _read_path(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _decoded_size(text: str, name: str) -> int:
    joined = "".join(text.split())
    # The padding may be missing, as in the vendor's example.
    missing = -len(joined) % 4
    try:
        return len(binascii.a2b_base64(joined + "=" * missing, strict_mode=True))
    except (ValueError, UnicodeEncodeError):
        raise ConfigurationError(
            f"{name}: this text is not base64: pass bytes, pathlib.Path(…) or a file open in binary mode"
        ) from None


def _require_size(size: int, *, name: str, most: int) -> None:
    if not size:
        raise ConfigurationError(f"{name} is empty")
    if size > most:
        raise ConfigurationError(f"{name} is larger than the {most // _MEGABYTE} MB that the API takes")
