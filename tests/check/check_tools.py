"""What the tests of the check share: a tidy sandbox, a check of it, and what was not ok."""

from carecloud_async import CareCloud, CheckStatus
from carecloud_async.sandbox import Sandbox

OK, WARNING, PROBLEM = CheckStatus


def make(**more):
    return Sandbox(**{"customers": 300, "untidy": False, **more})


async def check(sandbox, **more):
    settings = {"auth": sandbox.credentials(), "transport": sandbox.transport(), **more}
    async with CareCloud("sandbox.crmcarecloud.com", **settings) as client:
        found = await client.check()
    assert found.requests == len(sandbox.requests) <= 60
    assert sandbox.violations == []
    assert all(
        request.method == "GET" or request.template.endswith(("login", "/tokens")) for request in sandbox.requests
    )
    assert not [one for one in found.findings if "could not be examined" in one.seen]
    return found


def broken(found):
    """The findings that are not ok, as name and status."""
    return {(one.name, one.status) for one in found.findings if one.status is not OK}


def seen(found, name):
    """What was seen under a name, of all that is not ok."""
    return " ".join(one.seen for one in found.named(name) if one.status is not OK)
