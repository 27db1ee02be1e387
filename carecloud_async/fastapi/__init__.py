"""CareCloud in a FastAPI application: one client per worker, errors as problem documents, listings as streams.

```python
app = FastAPI(lifespan=carecloud_lifespan(CareCloud.from_env))
install_error_handlers(app)

@app.get("/customers/{customer_id}")
async def show(customer_id: str, carecloud: CareCloudDep) -> Customer:
    return await carecloud.customers.get(customer_id)
```
No middleware and no context variables: the client lies in the application's lifespan state, and a dependency hands it
out. `app.dependency_overrides[carecloud_dep()] = lambda: client` puts another one in its place, in tests the sandbox's.
"""

from __future__ import annotations

try:
    import fastapi  # noqa: F401  (looked for here, to name the extra)
except ImportError as _error:
    raise ModuleNotFoundError(
        "carecloud_async.fastapi needs FastAPI: pip install 'carecloud-async[fastapi]'", name="fastapi"
    ) from _error

from carecloud_async.fastapi.dependencies import (
    CareCloudDep,
    NoSessionError,
    carecloud_dep,
    carecloud_lifespan,
    customer_dep,
)
from carecloud_async.fastapi.disconnect import ClientDisconnectedError
from carecloud_async.fastapi.outbox import OutboxDep, outbox_dep, outbox_lifespan
from carecloud_async.fastapi.problems import install_error_handlers, problem_of
from carecloud_async.fastapi.streaming import NdjsonResponse, StreamBrokenError, ndjson
from carecloud_async.fastapi.webhooks import WebhookCall, WebhookRefusedError, WebhookRepeatedError, webhook_dep
from carecloud_async.webhooks.problem import Problem
from carecloud_async.webhooks.receiver import WebhookSettings
from carecloud_async.webhooks.redis_repeats import RedisRepeats
from carecloud_async.webhooks.repeats import MemoryRepeats, RepeatStore

__all__ = [
    "CareCloudDep",
    "ClientDisconnectedError",
    "MemoryRepeats",
    "NdjsonResponse",
    "NoSessionError",
    "OutboxDep",
    "Problem",
    "RedisRepeats",
    "RepeatStore",
    "StreamBrokenError",
    "WebhookCall",
    "WebhookRefusedError",
    "WebhookRepeatedError",
    "WebhookSettings",
    "carecloud_dep",
    "carecloud_lifespan",
    "customer_dep",
    "install_error_handlers",
    "ndjson",
    "outbox_dep",
    "outbox_lifespan",
    "problem_of",
    "webhook_dep",
]
