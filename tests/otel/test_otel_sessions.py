"""What the metrics count as a login."""

import pytest
from kit import connect
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from carecloud_async import CustomerSession, SessionExpiredError
from carecloud_async.otel import OpenTelemetry
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_a_look_whose_session_it_is_counts_as_no_login():
    """`login()` of a resumed session asks the server about its token: no token was asked for, and none refused."""
    reader = InMemoryMetricReader()
    telemetry = OpenTelemetry(meter_provider=MeterProvider([reader]))
    async with connect(Sandbox(5), auth=CustomerSession.resume(token_id="ended"), telemetry=telemetry) as client:
        with pytest.raises(SessionExpiredError):
            await client.login()
    scopes = [scope for one in reader.get_metrics_data().resource_metrics for scope in one.scope_metrics]
    names = {metric.name for scope in scopes for metric in scope.metrics}
    assert "http.client.request.duration" in names
    assert names.isdisjoint({"carecloud.client.logins", "carecloud.client.login.refusals"})
