"""The outboxes of gunicorn's workers, which are killed, replaced and fewer while sales come in."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from itertools import count

import httpx
import kit
import pytest
from server_processes import serving

from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.thorough

#: What gunicorn does: replaces its workers, has one less, and one less.
SIGNALS = (signal.SIGHUP, signal.SIGTTOU, signal.SIGTTOU, signal.SIGHUP)
#: How many sales are accepted between two changes.
SALES = 30


@pytest.mark.asyncio
async def test_each_accepted_entry_is_sent_once(tmp_path):
    """Workers are killed, ended, replaced one by one, and two of four go: each sale is made once, retried ones too."""
    sandbox, numbers, pids, sold = Sandbox(customers=5, seed=1), count(1), [], []
    async with kit.connect(sandbox) as client:
        customers = [customer.customer_id async for customer in client.customers.list()]

    async def sell(http):
        """Sell until it is cancelled; a sale without an answer is repeated."""
        while True:
            number = next(numbers)
            answer = None
            while answer is None or answer.status_code != 202:
                with suppress(httpx.TransportError):
                    answer = await http.post(f"/sales/{customers[number % 5]}/sale-{number}")
            pids.append(answer.json())
            sold.append(f"sale-{number}")

    def change(main, number):
        """Send a signal to the worker that answered last, or to gunicorn's main process."""
        with suppress(ProcessLookupError):
            os.kill(main.pid if number in SIGNALS else pids[-1], number)

    env = {"FOLDER": str(tmp_path / "boxes"), "XDG_STATE_HOME": str(tmp_path / "state")}
    limits = httpx.Limits(max_keepalive_connections=0)  # a new connection each: all workers get their share
    with sandbox.running() as url:
        app = serving("gunicorn", "outbox_app:create_app", workers=4, CARECLOUD_PROJECT_URL=url, **env)
        with app as (main, base):
            async with httpx.AsyncClient(base_url=base, limits=limits, timeout=60) as http:
                tills = [asyncio.create_task(sell(http)) for _ in range(6)]
                for number in (*[signal.SIGKILL, signal.SIGTERM] * 2, *SIGNALS):
                    enough = len(sold) + SALES
                    while len(sold) < enough:  # noqa: ASYNC110  (a till sells)
                        await asyncio.sleep(0.01)
                    change(main, number)
                for till in tills:
                    till.cancel()
                await asyncio.wait(tills)
                while not {*sold} <= (await kit.references(sandbox)).keys():  # noqa: ASYNC110  (workers send)
                    await asyncio.sleep(0.5)
    made = await kit.references(sandbox)
    assert {sale: number for sale, number in made.items() if number > 1} == {}
    assert Counter(sold) - made == Counter()
