"""Run as a process of its own: exports from a sandbox at a URL, to be killed half-way."""

import asyncio
import sys

from carecloud_async import CareCloud, ConfigurationError
from carecloud_async.sandbox import Sandbox


async def main(url, target, count):
    async with CareCloud(url, auth=Sandbox(customers=0).credentials()) as client:
        report = await client.customers.list(count=count).export(target, resume=True)
    sys.stdout.write(f"{report.records} {report.requests} {report.resumed}\n")


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    except ConfigurationError as error:
        sys.exit(str(error))
