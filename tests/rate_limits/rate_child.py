"""A process of a fleet that shares a rate limit; it calls until its input is closed."""

import sys

import anyio

from carecloud_async import CareCloud, EnterpriseCredentials, RedisRateLimit, RetryPolicy


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(url, redis_url, workers, login, password, application):
    """Call with `workers` tasks at a time; say when the first call is answered, and at the end how many were."""
    credentials = EnterpriseCredentials(login=login, password=password, external_application_id=application)
    limit = RedisRateLimit(redis_url)
    answered = 0

    async def work(client):
        nonlocal answered
        while True:
            await client.customers.list(count=1).page()
            answered += 1
            if answered == 1:
                say("served")

    async with (
        CareCloud(url, auth=credentials, rate_limit=limit, retry=RetryPolicy(attempts=50)) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(int(workers)):
            group.start_soon(work, client)
        await anyio.to_thread.run_sync(sys.stdin.read)
        group.cancel_scope.cancel()
    say(answered)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
