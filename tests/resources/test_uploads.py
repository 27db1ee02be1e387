"""Uploads: bytes, paths and files are read, measured and encoded; what cannot be sent is refused before."""

import base64
import io
import os
from pathlib import Path

import anyio
import pytest
from resource_wire import Wire

from carecloud_async import ConfigurationError
from carecloud_async.models import AttachmentInput, MessageInput, UploadMethod

pytestmark = pytest.mark.anyio

PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
MB = 1024 * 1024


class AsyncFile:
    """A file as FastAPI and anyio have it."""

    def __init__(self, content):
        self.file = io.BytesIO(content)

    async def read(self, size=-1):
        return self.file.read(size)


class Pipe:
    """A raw file that returns a few bytes at a time."""

    def __init__(self, content):
        self.file = io.BytesIO(content)

    def read(self, size):
        return self.file.read(min(size, 7))


class Endless:
    """A file without an end; counts what was read of it."""

    bytes_read = 0

    def read(self, size):
        part = b"x" * min(size, 65_536)
        self.bytes_read += len(part)
        return part


async def sent(data):
    """The base64 text that a photo is sent as."""
    wire = Wire()
    await wire.client.customers.upload_customer_photo(customer_id="c", data=data)
    assert wire.titles == ["POST /customers/actions/upload-customer-photo"]
    assert wire.sent["customer_id"] == "c"
    return wire.sent["data"]


def forms(path):
    path.write_bytes(PHOTO)
    return {
        "bytes": PHOTO,
        "bytearray": bytearray(PHOTO),
        "memoryview": memoryview(PHOTO),
        "path": path,
        "file object": io.BytesIO(PHOTO),
        "asynchronous file": AsyncFile(PHOTO),
        "pipe": Pipe(PHOTO),
        "base64": base64.b64encode(PHOTO).decode(),
    }


@pytest.mark.parametrize("form", list(forms(Path(os.devnull))))
async def test_a_photo_is_encoded(tmp_path, form):
    """Whatever the photo is given as, its base64 is sent."""
    data = await sent(forms(tmp_path / "photo.png")[form])
    assert base64.b64decode(data) == PHOTO


async def test_open_files_are_read_from_where_they_stand(tmp_path):
    """A file of the file system, blocking or of anyio, is read to its end and stays open."""
    path = tmp_path / "photo.png"
    path.write_bytes(b"head" + PHOTO)
    with path.open("rb") as file:
        file.seek(4)
        assert base64.b64decode(await sent(file)) == PHOTO
        assert not file.closed
    async with await anyio.open_file(path, "rb") as file:
        assert base64.b64decode(await sent(file)) == b"head" + PHOTO


async def test_base64_with_line_breaks_is_sent_as_it_is():
    """Text that is base64 already is only measured."""
    text = base64.encodebytes(PHOTO).decode()
    assert await sent(text) == text


@pytest.mark.parametrize("size", [2 * MB, 2 * MB + 1])
@pytest.mark.parametrize("form", ["bytes", "path", "file", "base64"])
async def test_a_photo_has_two_megabytes_at_most(tmp_path, size, form):
    """2 MB are sent, one byte more is refused before anything is sent."""
    content = bytes(size)
    (tmp_path / "photo").write_bytes(content)
    given = {
        "bytes": content,
        "path": tmp_path / "photo",
        "file": io.BytesIO(content),
        "base64": base64.b64encode(content).decode(),
    }
    wire = Wire()
    if size <= 2 * MB:
        await wire.client.customers.upload_customer_photo(customer_id="c", data=given[form])
        assert len(wire.calls) == 1
        return
    with pytest.raises(ConfigurationError, match=r"^data is larger than the 2 MB"):
        await wire.client.customers.upload_customer_photo(customer_id="c", data=given[form])
    assert not wire.calls


async def test_no_more_is_read_than_is_taken():
    """A file without an end is refused after 2 MB and a byte."""
    file = Endless()
    with pytest.raises(ConfigurationError, match="larger than"):
        await sent(file)
    assert file.bytes_read == 2 * MB + 1


@pytest.mark.parametrize("text", ["aGVsbG8", "aGVsbA", "aGVs\nbG8"])
async def test_padding_may_be_missing(text):
    """Base64 without its padding is sent as it was given."""
    assert await sent(text) == text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "data is empty"),
        ("", "data is empty"),
        (io.BytesIO(b""), "data is empty"),
        ("photo.png", "not base64"),
        ("aGVsb", "not base64"),
        ("aGVsbG8===", "not base64"),
        ("žluťoučký", "not base64"),
        (io.StringIO("text"), "binary mode"),
        (None, "got None"),
        (7, "got int"),
        (io.BytesIO, "class"),
    ],
)
async def test_upload_that_is_no_photo_is_refused(data, words):
    """Empty files, paths as text, text files and other objects are refused with the fix."""
    wire = Wire()
    with pytest.raises(ConfigurationError, match=words):
        await wire.client.customers.upload_customer_photo(customer_id="c", data=data)
    assert not wire.calls


async def test_a_path_that_cannot_be_read_shows_no_name(tmp_path):
    """A missing file and a folder are refused in the system's words, without the path, which may hold a name."""
    for path in (tmp_path / "jane.png", tmp_path):
        with pytest.raises(ConfigurationError, match=r"^data cannot be read: (No such|Is a dir)") as caught:
            await sent(path)
        assert "jane" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


async def test_a_missing_argument_is_pythons_error():
    """The signature is that of the method, not of what prepares it."""
    with pytest.raises(TypeError, match="data"):
        await Wire().client.customers.upload_customer_photo(customer_id="c")
    with pytest.raises(TypeError, match="photo"):
        await Wire().client.customers.upload_customer_photo(customer_id="c", photo=PHOTO)
    with pytest.raises(TypeError, match="positional"):
        await Wire().client.messages.send_message(1, 2)


def message(*attachments):
    return MessageInput(
        message_template_id="t", customer_id="c", communication_channel_id=1, attachments=list(attachments)
    )


@pytest.mark.parametrize("by_name", [False, True])
async def test_attachments_are_encoded(tmp_path, by_name):
    """Files of a message are read when it is sent; addresses and base64 go as they are."""
    path = tmp_path / "terms.pdf"
    path.write_bytes(b"%PDF-1.7")
    given = message(
        AttachmentInput(upload_method=UploadMethod.BASE64, file_data=path, cache_for=5),
        AttachmentInput(upload_method="base64", file_data=io.BytesIO(PHOTO)),
        AttachmentInput(upload_method="base64", file_data="cGRm"),
        AttachmentInput(upload_method=UploadMethod.URL, file_data="https://shop.example.com/a.pdf"),
    )
    wire = Wire()
    await (wire.client.messages.send_message(message=given) if by_name else wire.client.messages.send_message(given))
    files = wire.calls[0][3]["message"]["attachments"]
    assert [base64.b64decode(one["file_data"]) for one in files[:3]] == [b"%PDF-1.7", PHOTO, b"pdf"]
    assert (files[0]["cache_for"], files[3]["file_data"]) == (5, "https://shop.example.com/a.pdf")
    assert given.attachments[0].file_data == path


async def test_an_attachment_has_one_megabyte_at_most():
    """The error names which attachment is too large; nothing is sent."""
    wire = Wire()
    good = AttachmentInput(upload_method="base64", file_data=bytes(MB))
    await wire.client.messages.send_message(message(good))
    large = AttachmentInput(upload_method="base64", file_data=bytes(MB + 1))
    with pytest.raises(ConfigurationError, match=r"^attachments\[1\]\.file_data is larger than the 1 MB"):
        await wire.client.messages.send_message(message(good, large))
    assert len(wire.calls) == 1


async def test_a_file_is_no_address():
    """A file with the method for addresses is refused, with the method that it needs."""
    wire = Wire()
    with pytest.raises(ConfigurationError, match=r"UploadMethod\.BASE64"):
        await wire.client.messages.send_message(message(AttachmentInput(upload_method="url", file_data=PHOTO)))
    assert not wire.calls


async def test_a_message_without_attachments_is_sent_as_it_is():
    """Nothing is read, and the error of a mistake stays the same."""
    wire = Wire()
    given = message()
    await wire.client.messages.send_message(given)
    assert wire.calls[0][3]["message"]["attachments"] == []
    with pytest.raises(ConfigurationError, match="MessageInput"):
        await wire.client.messages.send_message({"customer_id": "c"})
