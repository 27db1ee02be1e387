"""An application whose workers have an outbox each in one folder; the test starts it and counts what it sends."""

import os

from fastapi import FastAPI

from carecloud_async import CareCloud, EnterpriseCredentials
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async.fastapi import CareCloudDep, OutboxDep, carecloud_lifespan, outbox_lifespan
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD

USER = EnterpriseCredentials(external_application_id=USER_APPLICATION_ID, login=USER_LOGIN, password=USER_PASSWORD)


class HastyClock(SystemClock):
    """The real clock, whose sleeps take a second at most: the files of the others are looked at each second."""

    async def sleep(self, seconds):
        await super().sleep(min(seconds, 1.0))


def create_app():
    """Make the application."""

    def connect():
        return CareCloud(os.environ["CARECLOUD_PROJECT_URL"], auth=USER, clock=HastyClock())

    outbox = outbox_lifespan(folder=os.environ["FOLDER"], settle=1)
    app = FastAPI(lifespan=carecloud_lifespan(connect, lifespan=outbox))

    @app.post("/sales/{customer_id}/{reference}", status_code=202)
    async def sell(customer_id: str, reference: str, carecloud: CareCloudDep, outbox: OutboxDep) -> int:
        points = carecloud.points.assign_points
        await outbox.put(points, customer_id=customer_id, amount=1, reference=reference)
        return os.getpid()

    return app
