"""A list that the server sends as one page: its end is in the same commit as its records."""

import json

import pytest
from kit import connect

from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class StoppedError(Exception):
    pass


def stop(_):
    raise StoppedError


def languages(path):
    return [json.loads(line)["language_id"] for line in path.read_bytes().splitlines()]


async def test_an_export_stopped_after_the_page_writes_it_once(tmp_path):
    """A run is stopped when its records are written; the next one adds none, and ends with the same report."""
    async with connect(Sandbox(seed=1)) as client:
        whole = await client.languages.list().export(tmp_path / "whole.jsonl")
        with pytest.raises(StoppedError):
            await client.languages.list().export(tmp_path / "c.jsonl", on_progress=stop)
        report = await client.languages.list().export(tmp_path / "c.jsonl", resume=True)
    assert languages(tmp_path / "c.jsonl") == languages(tmp_path / "whole.jsonl")
    assert (report.records, report.exact) == (whole.records, whole.exact)


async def test_a_stream_that_goes_on_after_the_page_is_at_its_end():
    """The mark of the only batch belongs to a whole list: what follows it is nothing, and exact."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    async with connect(Sandbox(seed=1)) as client:
        async with client.languages.list().arrow() as batches:
            first = await anext(batches)
            mark = batches.mark
        async with client.languages.list().arrow(after=mark) as batches:
            assert [batch async for batch in batches] == []
    assert first.num_rows == batches.report.records > 0
    assert batches.report.exact
