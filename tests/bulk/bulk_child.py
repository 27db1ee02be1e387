"""`run` is run in a process of its own: it writes a file in bulk to a sandbox at a URL, to be killed at any moment."""

import asyncio
import sys
import time

from bulk_tools import SOURCE

from carecloud_async import CareCloud, RetryPolicy, Timeout
from carecloud_async.sandbox import Sandbox


class FastClock:
    """A clock on which a second passes in a fiftieth of one: settle times pass quickly."""

    def monotonic(self):
        return time.monotonic() * 50

    def time(self):
        return time.time() * 50

    async def sleep(self, seconds):
        await asyncio.sleep(seconds / 50)


async def main(url, source, results, match):
    client = CareCloud(
        url,
        auth=Sandbox(customers=0).credentials(),
        clock=FastClock(),
        retry=RetryPolicy(attempts=2),
        rate_limit=None,
        timeout=Timeout(read=15),
    )
    async with client:
        report = await client.customers.bulk_write(
            source,
            match=None if match == "none" else match,
            defaults=SOURCE,
            results=results,
            resume=True,
            settle=30,
        )
    sys.stdout.write(f"{report.created} {report.updated} {report.unchanged} {report.refused} {report.unknown}\n")


def run(*arguments):
    asyncio.run(main(*arguments))
