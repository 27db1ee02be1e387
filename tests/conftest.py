"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Other programs may keep every core busy: an example that takes long is no failure.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

SHARED = Path(__file__).parents[1].parent / "shared"

#: Skips that CI lets no test take: it has installed everything.
_FORBIDDEN = ("is not installed", "could not import", "is not here", "is not running")
#: Skips for want of the vendor's description; allowed only where it is absent.
_DESCRIPTION = ("description", "openapi", "shared")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


def unwanted(reason):
    """Tell whether a skip may not pass, with CARECLOUD_REQUIRE_SERVERS set."""
    if not os.environ.get("CARECLOUD_REQUIRE_SERVERS"):
        return False
    if any(word in reason for word in _DESCRIPTION):
        return SHARED.exists()
    return any(word in reason for word in _FORBIDDEN)


def _forbid_skip(report):
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        if unwanted(reason):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: may not be skipped here: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _forbid_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _forbid_skip((yield))
