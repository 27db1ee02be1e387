"""The private parts of other libraries that the SDK reaches into: a test fails when a release moves one."""

import inspect

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


def test_aiohttp_still_has_the_parts_of_a_plain_exchange():
    """A protocol that takes these settings and has one timer, and a connector that takes a place to go to."""
    client_proto = pytest.importorskip("aiohttp.client_proto")
    settings = inspect.signature(client_proto.ResponseHandler.set_response_params).parameters
    wanted = {"read_until_eof", "auto_decompress", "read_timeout", "max_line_size", "max_field_size"}
    assert wanted <= settings.keys()
    for name in ("start_timeout", "read", "_drop_timeout", "_reschedule_timeout", "_on_read_timeout"):
        assert callable(getattr(client_proto.ResponseHandler, name))
    handler = client_proto.ResponseHandler.__init__.__code__.co_names
    assert {"_read_timeout", "_read_timeout_handle"} <= set(handler)
    connect = inspect.signature(pytest.importorskip("aiohttp").TCPConnector.connect).parameters
    assert list(connect) == ["self", "req", "traces", "timeout"]


@pytest.mark.asyncio
async def test_aiohttp_as_it_is_installed_is_taken_for_genuine():
    """Else every request would take the session's long way, and nobody would notice."""
    transport = AiohttpTransport(max_connections=1, verify=False, proxy=None, max_response_bytes=1)
    assert transport._exchanges.may_be_made
    await transport.aclose()
