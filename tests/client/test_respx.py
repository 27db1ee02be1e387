"""respx intercepts a client that is given plain httpx."""

import httpx
import pytest
import respx
from kit import CREDENTIALS

from carecloud_async import CareCloud

BASE = "https://sandbox.crmcarecloud.com/webservice/rest-api/enterprise-interface/v1.0"
LOGIN = {"data": {"bearer_token": "09359095c5da43c7", "valid_to": "2023-01-04 10:31:56", "user": {}}}


@pytest.mark.asyncio
async def test_respx_sees_every_request():
    """Login and call are matched by URL, query and headers, and answered by the mock."""
    with respx.mock(base_url=BASE) as mock:
        login = mock.post("/users/actions/login").respond(
            201, json=LOGIN, headers={"Date": "Wed, 04 Jan 2023 02:31:56 GMT"}
        )
        customers = mock.get(
            "/customers",
            params={"count": 100, "offset": 0, "email_list[]": ["a@example.com"]},
            headers={"Authorization": "Bearer 09359095c5da43c7", "Content-Type": "application/json"},
        ).respond(json={"data": {"customers": [], "total_items": 0}})
        async with (
            httpx.AsyncClient() as http,
            CareCloud("sandbox.crmcarecloud.com", auth=CREDENTIALS, http_client=http) as client,
        ):
            assert (await client.customers.list(email_list=["a@example.com"]).page()).items == []
        assert login.call_count == customers.call_count == 1
        assert "authorization" not in login.calls.last.request.headers
        assert login.calls.last.request.url == f"{BASE}/users/actions/login"
