"""Zstandard, from the standard library where it has it, else from the extra's package."""

import io
import sys

import pytest

from carecloud_async import ConfigurationError
from carecloud_async._lists.export.formats.compression import frame_maker, zstd_unpacking
from carecloud_async.bulk import BulkWriteError
from carecloud_async.bulk.sources import open_source

LINES = b'{"email": "a@example.com"}\n' * 2000


def frames(number):
    return frame_maker(".zst")(LINES) * number


@pytest.mark.parametrize("number", [1, 3])
def test_all_frames_are_one_stream(number):
    """Consecutive frames are read as one stream, to the end; closing it closes the file below."""
    below = io.BytesIO(frames(number))
    with zstd_unpacking(below) as stream:
        assert stream.read() == LINES * number
    assert below.closed


@pytest.mark.asyncio
@pytest.mark.parametrize("packed", [frames(2)[:-5], frames(1) + b"more", b"no Zstandard"])
async def test_rows_of_a_damaged_file_are_refused(tmp_path, packed):
    """A truncated or damaged source stops the bulk write: it must not be taken for one with fewer rows."""
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(packed)
    source = open_source(path)
    try:
        with pytest.raises(BulkWriteError, match="cannot be read"):
            [batch async for batch in source.batches()]
    finally:
        source.close()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="this Python has no Zstandard of its own")
def test_a_python_built_without_zstandard_says_so(monkeypatch):
    """If the standard library's module is missing, the error names another suffix."""
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.delattr(sys.modules["compression"], "zstd", raising=False)
    with pytest.raises(ConfigurationError, match=r"write \.gz"):
        frame_maker(".zst")
