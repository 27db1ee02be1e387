"""Help for the tests of changes: what a run brings."""


async def take(listing, state, **options):
    """Return the changes of a run, and its report."""
    async with listing.changes(state=state, **options) as changes:
        taken = [change async for change in changes]
    return taken, changes.report


async def read(server, state, **options):
    """Return the changes of a run as pairs of a kind and an id, and its report."""
    async with server.client() as client:
        taken, report = await take(client.customers.list(count=50), state, concurrency=1, **options)
    return [(change.kind, change.id) for change in taken], report
