"""A process of a fleet that shares a rate limit; it calls until it is killed."""

import sys

import anyio

from carecloud_async import CareCloud, EnterpriseCredentials, RedisRateLimit, RetryPolicy


async def main(url, redis_url, workers, login, password, application):
    """Call with `workers` tasks at a time; say when the first call is answered."""
    credentials = EnterpriseCredentials(login=login, password=password, external_application_id=application)
    limit = RedisRateLimit(redis_url)

    async def work(client):
        while True:
            await client.customers.list(count=1).page()

    async with (
        CareCloud(url, auth=credentials, rate_limit=limit, retry=RetryPolicy(attempts=50)) as client,
        anyio.create_task_group() as group,
    ):
        await client.customers.list(count=1).page()
        sys.stdout.write("served\n")
        sys.stdout.flush()
        for _ in range(int(workers)):
            group.start_soon(work, client)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
