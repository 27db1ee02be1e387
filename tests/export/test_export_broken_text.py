"""Exports of records whose text is not Unicode."""

import httpx
import pytest

from carecloud_async import CareCloud
from carecloud_async._base.codec import fields
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


class Damaged(httpx.AsyncBaseTransport):
    """A server whose answers hold a byte that is not UTF-8 in the place of a letter."""

    def __init__(self, sandbox):
        self.inner = sandbox.transport()

    async def handle_async_request(self, request):
        answer = await self.inner.handle_async_request(request)
        body = (await answer.aread()).replace(b'"Jan"', b'"J\xe1n"')
        return httpx.Response(answer.status_code, headers={"Date": answer.headers["Date"]}, content=body)


async def test_broken_text_is_said(tmp_path, monkeypatch, caplog):
    """U+FFFD stands in the file, the records are complete, and one warning says so without the text."""
    monkeypatch.setattr(fields, "_reported", set())
    sandbox = Sandbox(customers=30)
    sandbox.customers.update(sandbox.customers.id_at(3), {"personal_information": {"first_name": "Jan"}})
    target = tmp_path / "customers.jsonl"
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=Damaged(sandbox)) as client:
        report = await client.customers.list(count=10).export(target)
    assert (report.records, report.exact) == (30, True)
    assert '"J\ufffdn"' in target.read_text(encoding="utf-8")
    assert (
        caplog.messages.count(
            "answers.text: bytes that are not UTF-8, or half a character, are read as U+FFFD (reported once)"
        )
        == 1
    )
