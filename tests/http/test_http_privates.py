"""The private parts of other libraries that the SDK reaches into: a test fails when a release moves one."""

import pytest

from carecloud_async.http.transport import AiohttpTransport


@pytest.mark.asyncio
async def test_aiohttp_still_has_the_repeat_that_is_switched_off():
    """`ClientSession._retry_connection` repeats PUT and DELETE on a kept connection; in the SDK's session it is off."""
    aiohttp = pytest.importorskip("aiohttp")
    async with aiohttp.ClientSession() as session:
        assert session._retry_connection is True
    transport = AiohttpTransport(max_connections=1, verify=False, proxy=None, max_response_bytes=1)
    assert transport._session._retry_connection is False
    await transport.aclose()
