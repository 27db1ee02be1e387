"""Deliveries of CareCloud's marketing automation, checked for any web framework.

```python
receiver = WebhookReceiver(WebhookSettings(secret=…, header="X-Webhook-Secret", id_field=…, record_field=…))

async def changed(request):  # of any framework
    try:
        async with receiver.delivery(headers=request.headers, body=await request.read()) as delivery:
            await handle(delivery.record_id)
    except DeliveryRefusedError as refused:
        return Response(status=refused.problem.status, json=refused.problem.body(), headers=refused.problem.headers())
    except DeliveryRepeatedError:
        pass
    return Response(status=204)
```
For FastAPI there is a dependency, `carecloud_async.fastapi.webhook_dep`.
"""

from carecloud_async.webhooks.problem import DeliveryRefusedError, DeliveryRepeatedError, Problem
from carecloud_async.webhooks.receiver import Delivery, WebhookReceiver, WebhookSettings
from carecloud_async.webhooks.redis_repeats import RedisRepeats
from carecloud_async.webhooks.repeats import LeasedRepeatStore, MemoryRepeats, RepeatStore

__all__ = [
    "Delivery",
    "DeliveryRefusedError",
    "DeliveryRepeatedError",
    "LeasedRepeatStore",
    "MemoryRepeats",
    "Problem",
    "RedisRepeats",
    "RepeatStore",
    "WebhookReceiver",
    "WebhookSettings",
]
