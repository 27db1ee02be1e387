"""Uploads: bytes, paths and files are read, measured and encoded; what cannot be sent is refused before."""

import base64
import io

import anyio
import pytest
from every import every
from resource_wire import Wire

from carecloud_async import ConfigurationError
from carecloud_async.models import AttachmentInput, MessageInput, UploadMethod

pytestmark = pytest.mark.anyio

PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
MB = 1024 * 1024


class Bytes(bytearray):
    """Bytes that nobody may look at one by one: two million numbers take seconds."""

    def __iter__(self):
        raise AssertionError("each byte is looked at")


class AsyncFile(io.BytesIO):
    """A file as FastAPI and anyio have it."""

    async def read(self, size=-1):
        return super().read(size)


class Pipe(io.BytesIO):
    """A raw file that returns a few bytes at a time."""

    def read(self, size=-1):
        return super().read(min(size, 70_000))


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
    try:
        await wire.client.customers.upload_customer_photo(customer_id="c", data=data)
    except ConfigurationError:
        assert not wire.calls
        raise
    assert wire.titles == ["POST /customers/actions/upload-customer-photo"]
    assert wire.sent["customer_id"] == "c"
    return wire.sent["data"]


def encoded(content):
    return base64.b64encode(content).decode()


FORMS = [bytes, Bytes, memoryview, "path", io.BytesIO, AsyncFile, Pipe, encoded]


@every("form", FORMS)
async def test_a_photo_is_encoded_up_to_two_megabytes(tmp_path, form):
    """Whatever the photo is given as, its base64 is sent; a byte more than 2 MB is refused before anything is sent."""

    def given(content):
        if form != "path":
            return form(content)
        (tmp_path / "photo").write_bytes(content)
        return tmp_path / "photo"

    for content in (PHOTO, bytes(2 * MB)) if form in {bytes, "path"} else (PHOTO,):
        assert base64.b64decode(await sent(given(content))) == content
    with pytest.raises(ConfigurationError, match=r"^data is larger than the 2 MB"):
        await sent(given(bytes(2 * MB + 1)))


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


async def test_no_more_is_read_than_is_taken():
    """A file without an end is refused after 2 MB and a byte."""
    file = Endless()
    with pytest.raises(ConfigurationError, match="larger than"):
        await sent(file)
    assert file.bytes_read == 2 * MB + 1


@every("text", ["aGVsbG8", "aGVsbA", "aGVs\nbG8", base64.encodebytes(PHOTO).decode()])
async def test_base64_is_sent_as_it_is(text):
    """Text that is base64 already is only measured; line breaks and missing padding do not matter."""
    assert await sent(text) == text


REFUSED = [
    *[(data, "data is empty") for data in (b"", "", io.BytesIO(b""))],
    *[(text, "not base64") for text in ("photo.png", "aGVsb", "aGVsbG8===", "žluťoučký")],
    (io.StringIO("text"), "binary mode"),
    (None, "got None"),
    (7, "got int"),
    (io.BytesIO, "class"),
]


@every("data, words", REFUSED)
async def test_an_upload_that_is_no_photo_is_refused(data, words):
    """Empty files, paths as text, text files and other objects are refused with the fix."""
    with pytest.raises(ConfigurationError, match=words):
        await sent(data)


async def test_a_path_that_cannot_be_read_shows_no_name(tmp_path):
    """A missing file and a folder are refused in the system's words, without the path, which may hold a name."""
    for path in (tmp_path / "jane.png", tmp_path):
        with pytest.raises(ConfigurationError, match=r"^data cannot be read: (No such|Is a dir)") as caught:
            await sent(path)
        assert "jane" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def message(*attachments):
    return MessageInput(
        message_template_id="t", customer_id="c", communication_channel_id=1, attachments=list(attachments)
    )


async def test_attachments_are_encoded(tmp_path):
    """Files of a message are read when it is sent; addresses and base64 go as they are, and none is sent as none."""
    path = tmp_path / "terms.pdf"
    path.write_bytes(b"%PDF-1.7")
    given = message(
        AttachmentInput(upload_method=UploadMethod.BASE64, file_data=path, cache_for=5),
        AttachmentInput(upload_method="base64", file_data=bytes(MB)),
        AttachmentInput(upload_method="base64", file_data="cGRm"),
        AttachmentInput(upload_method=UploadMethod.URL, file_data="https://shop.example.com/a.pdf"),
    )
    wire = Wire()
    await wire.client.messages.send_message(given)
    await wire.client.messages.send_message(message=given)
    files = wire.sent["message"]["attachments"]
    assert wire.calls[0] == wire.calls[1]
    assert [base64.b64decode(file["file_data"]) for file in files[:3]] == [b"%PDF-1.7", bytes(MB), b"pdf"]
    assert (files[0]["cache_for"], files[3]["file_data"]) == (5, "https://shop.example.com/a.pdf")
    assert given.attachments[0].file_data == path
    await wire.client.messages.send_message(message())
    assert wire.sent["message"]["attachments"] == []


GOOD = AttachmentInput(upload_method="base64", file_data="cGRm")
WRONG = [
    ("base64", bytes(MB + 1), r"^attachments\[1\]\.file_data is larger than the 1 MB"),
    ("url", PHOTO, r"UploadMethod\.BASE64"),
]


@every("method, data, words", WRONG)
async def test_a_wrong_attachment_is_refused(method, data, words):
    """The error names which one it is, or the method that a file needs; nothing is sent."""
    wire = Wire()
    with pytest.raises(ConfigurationError, match=words):
        await wire.client.messages.send_message(message(GOOD, AttachmentInput(upload_method=method, file_data=data)))
    assert not wire.calls
