"""What the tests of the check share: a tidy sandbox, a check of it, and what was not ok."""

from clocks import InstantClock

from benchmarks.api_rules import broken_rules
from carecloud_async import CareCloud, CheckStatus
from carecloud_async.sandbox import Sandbox

OK, NOT_KNOWN, WARNING, PROBLEM = CheckStatus

#: What is never known where the transport is the test's own.
OWN_TRANSPORT = {"tls", "proxy"}


def make(**more):
    return Sandbox(**{"customers": 60, "records": 12, "untidy": False, **more})


async def check(sandbox, **more):
    settings = {"auth": sandbox.credentials(), "transport": sandbox.transport(), "clock": InstantClock(), **more}
    async with CareCloud("sandbox.crmcarecloud.com", **settings) as client:
        report = await client.check()
    assert report.requests == len(sandbox.requests) <= 60
    assert broken_rules(sandbox) == []
    assert all(
        request.method == "GET" or request.template.endswith(("login", "/tokens")) for request in sandbox.requests
    )
    assert not [finding for finding in report.findings if "could not be examined" in finding.seen]
    return report


def broken(report):
    """The warnings and problems, as name and status."""
    return {(finding.name, finding.status) for finding in (*report.warnings, *report.problems)}


def unknown(report):
    """The names of what is not known, beyond what the test's own transport hides."""
    return {finding.name for finding in report.not_known} - OWN_TRANSPORT


def seen(report, name):
    """What was seen under a name, of all that is not ok."""
    return " ".join(finding.seen for finding in report.named(name) if finding.status is not OK)
