"""What the tests of the check share: a tidy sandbox, a check of it, and what was not ok."""

from clocks import InstantClock

from carecloud_async import CareCloud, CheckStatus
from carecloud_async.sandbox import Sandbox

OK, NOT_KNOWN, WARNING, PROBLEM = CheckStatus

#: What is never known where the transport is the test's own.
OWN_TRANSPORT = {"tls", "proxy"}


def make(**more):
    return Sandbox(**{"customers": 300, "records": 20, "untidy": False, **more})


async def check(sandbox, **more):
    settings = {"auth": sandbox.credentials(), "transport": sandbox.transport(), "clock": InstantClock(), **more}
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
    """The warnings and problems, as name and status."""
    return {(one.name, one.status) for one in found.findings if one.status in {WARNING, PROBLEM}}


def unknown(found):
    """The names of what is not known, beyond what the test's own transport hides."""
    return {one.name for one in found.not_known} - OWN_TRANSPORT


def seen(found, name):
    """What was seen under a name, of all that is not ok."""
    return " ".join(one.seen for one in found.named(name) if one.status is not OK)
