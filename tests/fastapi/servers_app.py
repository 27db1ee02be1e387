"""An application that reads and streams; the test starts it under each server."""

import asyncio
import os

from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

from carecloud_async import CareCloud, RetryPolicy
from carecloud_async.fastapi import CareCloudDep, carecloud_lifespan, install_error_handlers, ndjson
from carecloud_async.sandbox import Sandbox


class Watched:
    """A listing of customers that counts those of its readers that are under way."""

    open = 0

    def __init__(self, carecloud):
        self.listing = carecloud.customers.list(count=10)

    async def raw(self):
        Watched.open += 1
        try:
            async for record in self.listing.raw():
                yield record
        finally:
            Watched.open -= 1


def connected():
    return CareCloud(os.environ["CARECLOUD_PROJECT_URL"], auth=Sandbox(1).credentials(), retry=RetryPolicy(attempts=1))


def create_app():
    """Make the application."""
    app = FastAPI(lifespan=carecloud_lifespan(connected))
    install_error_handlers(app)

    @app.get("/export")
    async def export(carecloud: CareCloudDep):
        return ndjson(Watched(carecloud))

    @app.post("/export")
    async def export_by_post(carecloud: CareCloudDep):
        return ndjson(Watched(carecloud))

    @app.get("/export_without_dependency")
    async def export_without_dependency(request: Request):
        return ndjson(Watched(request.app.state.carecloud_default))

    @app.get("/first")
    async def first(carecloud: CareCloudDep) -> str:
        return (await carecloud.customers.list(count=1).page()).items[0].customer_id

    @app.get("/pieces")
    async def pieces(carecloud: CareCloudDep):
        return StreamingResponse(Watched(carecloud).raw())

    @app.get("/left")
    async def left() -> int:
        """Count the streams that are open, and the tasks that the SDK started for requests."""
        return Watched.open + sum("fastapi.disconnect" in task.get_name() for task in asyncio.all_tasks())

    return app
