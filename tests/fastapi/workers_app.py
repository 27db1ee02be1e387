"""An application for several workers; the test starts it and counts what it does."""

import os
from pathlib import Path

from fastapi import FastAPI

from carecloud_async import CareCloud, EnterpriseCredentials
from carecloud_async.fastapi import CareCloudDep, carecloud_lifespan, install_error_handlers
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD

USER = EnterpriseCredentials(external_application_id=USER_APPLICATION_ID, login=USER_LOGIN, password=USER_PASSWORD)


def note(journal, number):
    with journal.open("a") as file:
        file.write(f"{number}\n")


def create_app():
    """Make the application."""
    app = FastAPI(lifespan=carecloud_lifespan(lambda: CareCloud(os.environ["CARECLOUD_PROJECT_URL"], auth=USER)))
    install_error_handlers(app)
    journal = Path(os.environ["JOURNAL"])

    @app.get("/customers/{customer_id}")
    async def show(customer_id: str, carecloud: CareCloudDep, number: int = 0) -> str:
        note(journal, number)
        return (await carecloud.customers.get(customer_id)).customer_id

    return app
