"""Cold starts: programs run as `python -c`, which import nothing before the clock starts.

`import` takes the time of the import alone, `import_client` that of the names which every program needs (the package
loads them when they are asked for). `first_call` goes on to the first customer, login included: what lazy
imports put off is in there.
"""

from benchmarks.generate import FOLDER_VARIABLE, PACKAGE
from benchmarks.records import BASE_PATH, customer_id
from benchmarks.task import Task

_TIMED = """
import time
started, cpu = time.perf_counter(), time.process_time()
{work}
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
import json, resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(seconds=seconds, cpu=cpu, done=1, peak_mb=peak)))
"""

_SDK_CALL = """
import asyncio
from carecloud_async import CareCloud, EnterpriseCredentials
async def main():
    credentials = EnterpriseCredentials(external_application_id="app", login="user", password="secret")
    async with CareCloud("{origin}", auth=credentials) as client:
        await client.customers.get("{customer}")
asyncio.run(main())
"""

_HTTPX_CALL = """
import asyncio, httpx
async def main():
    async with httpx.AsyncClient(base_url="{origin}{base}") as client:
        response = await client.post("/users/actions/login", json=dict(login="user", password="secret"))
        token = response.json()["data"]["bearer_token"]
        response = await client.get("/customers/{customer}", headers=dict(Authorization="Bearer " + token))
        response.json()["data"]["customer_id"]
asyncio.run(main())
"""

_GENERATED_IMPORT = """
import os, sys
sys.path.insert(0, os.environ["{variable}"])
from {package}.api.customers import get_customers
"""

_PROGRAMS = {
    ("carecloud", "import"): "import carecloud_async",
    ("carecloud", "import_client"): "from carecloud_async import CareCloud, Customer, EnterpriseCredentials",
    ("httpx_script", "import"): "import httpx",
    ("generated", "import"): _GENERATED_IMPORT,
    ("carecloud", "first_call"): _SDK_CALL,
    ("httpx_script", "first_call"): _HTTPX_CALL,
}


def program(task: Task, port: int) -> str | None:
    """Return the program of a cold task, or `None` if the task is none."""
    work = _PROGRAMS.get((task.peer, task.kind))
    if work is None:
        return None
    filled = work.format(
        origin=f"http://127.0.0.1:{port}",
        base=BASE_PATH,
        customer=customer_id(0),
        variable=FOLDER_VARIABLE,
        package=PACKAGE,
    )
    return _TIMED.format(work=filled)
