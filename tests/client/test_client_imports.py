"""Modules that a program does not pay for before it needs them: they are not loaded."""

import subprocess
import sys

#: Not needed to make a client: they load with the first call, or with what few programs use.
NOT_WITH_THE_NAMES = {
    "aiohappyeyeballs",
    "asyncio",
    "carecloud_async._calls.auth.customer",
    "carecloud_async._calls.auth.file_store",
    "carecloud_async._calls.auth.redis_store",
    "carecloud_async._calls.rate_limits.shared_pace",
    "carecloud_async._base.codec.misfits",
    "carecloud_async.export",
    "carecloud_async.models.customer_input",
    "carecloud_async.models.user",
    "carecloud_async._lists.paging.prefetch",
    "carecloud_async.resources.customers",
    "cattrs",
    "filelock",
    "httptools",
    "pyarrow",
    "pydantic",
    "redis",
    "trio",
}
#: Nor does the first call of a program need these, its login included.
NOT_WITH_A_CALL = {
    "carecloud_async._calls.auth.customer",
    "carecloud_async._base.codec.misfits",
    "carecloud_async.export",
    "carecloud_async.models.customer_input",
    "carecloud_async._lists.paging.prefetch",
    "cattrs",
    "pydantic",
}

NAMES = "from carecloud_async import CareCloud, Customer, EnterpriseCredentials\n"
CALL = """
import asyncio
import httpx

def answer(request):
    if request.url.path.endswith("/login"):
        user = {"user_id": "1", "login": "user", "last_login": "2026-01-02 03:04:05"}
        data = {"bearer_token": "t", "valid_to": "2099-01-01 00:00:00", "user": user}
        return httpx.Response(200, json={"data": data})
    return httpx.Response(200, json={"data": {"customer_id": "2"}})

async def main():
    credentials = EnterpriseCredentials(external_application_id="app", login="user", password="secret")
    async with CareCloud("https://x.test", auth=credentials, transport=httpx.MockTransport(answer)) as client:
        assert (await client.customers.get("2")).customer_id == "2"

asyncio.run(main())
"""


def test_nothing_loads_before_it_is_needed():
    """The client's names come without what only calls need, and a first call without what few calls need."""
    shown = "\nimport sys\nprint(*sys.modules)\n"
    program = [sys.executable, "-c", shown + NAMES + shown + CALL + shown]
    run = subprocess.run(program, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    before, with_names, with_call = [{*line.split()} for line in run.stdout.splitlines()]
    assert "carecloud_async.client" in with_names
    assert (with_names - before) & NOT_WITH_THE_NAMES == set()
    assert (with_call - before) & NOT_WITH_A_CALL == set()
