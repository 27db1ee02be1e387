"""Fixtures and options of all tests."""

import gc
import os
import tempfile
from pathlib import Path

import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, is_hypothesis_test, settings, strategies
from thorough import depending

# Other programs may keep every core busy: an example that takes long is no failure.
settings.register_profile("quick", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=10)
settings.register_profile("thorough", parent=settings.get_profile("quick"), max_examples=150)

TESTS = Path(__file__).parent
SHARED = TESTS.parents[1] / "shared"

#: What one worker runs for longest begins first, so that the others do not wait for it at the end.
_LONGEST = (
    "tests/bulk/test_bulk_kills.py",
    "tests/benchmarks/",
    "tests/check/test_check_failed_replies.py",
    "tests/project/",
    "tests/workflows/test_workflow_dossier.py",
    "tests/pipelines/test_dlt.py",
)
#: Files whose tests are spread over all workers: one alone would run them for minutes.
_SPREAD = (
    "tests/bulk/test_bulk_kills.py",
    "tests/benchmarks/",
    "tests/calls/test_call_matrix.py",
    "tests/check/test_check_failed_replies.py",
    "tests/export/test_export_end.py",
    "tests/http/test_http_fuzz.py",
)
#: Skips that CI lets no test take: it has installed everything.
_FORBIDDEN = ("is not installed", "could not import", "is not here", "is not running")
#: Skips for want of the vendor's description; allowed only where it is absent.
_DESCRIPTION = ("description", "openapi", "shared")


def pytest_addoption(parser):
    parser.addoption(
        "--thorough", action="store_true", help="run tests marked thorough too, and many examples of each property"
    )
    parser.addoption("--more", action="store_true", help="of --thorough, only what it does more than the quick suite")
    parser.addoption("--seconds", action="store_true", help="print the processor time of each folder, file and test")


def pytest_configure(config):
    gc.disable()  # until all tests are collected: nothing is garbage before
    # Bulk writes keep a registry in the user's state folder. Tests have one of their own, and so do their processes.
    os.environ["XDG_STATE_HOME"] = os.environ["LOCALAPPDATA"] = tempfile.mkdtemp(prefix="carecloud-tests-")
    settings.load_profile("thorough" if _is_thorough(config) else "quick")
    if config.getoption("seconds"):
        from durations import Durations

        config.pluginmanager.register(Durations())


def _is_thorough(config):
    return config.getoption("thorough") or config.getoption("more")


def pytest_report_header(config):
    return None if _is_thorough(config) else "quick: tests marked thorough are left out, --thorough runs them"


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked thorough, unless it is asked for; all workers get one order."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.nodeid.split("/")[:2])
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))
    if config.getoption("more"):
        _keep(config, items, _does_more)
    elif not config.getoption("thorough"):
        _keep(config, items, lambda item: not item.get_closest_marker("thorough"))


def _keep(config, items, is_wanted):
    left_out = [item for item in items if not is_wanted(item)]
    items[:] = [item for item in items if is_wanted(item)]
    config.hook.pytest_deselected(items=left_out)


def _does_more(item):
    """Whether `--thorough` runs a test that the quick suite leaves out, or gives it more examples or cases."""
    return bool(
        item.get_closest_marker("thorough")
        or is_hypothesis_test(item.obj)
        or getattr(item.obj, "left_out", ())
        or _test_name(item) in depending(item.module)
    )


def _test_name(item):
    """The name of a test's function, or of the class that has it."""
    return item.nodeid.split("::")[1].partition("[")[0]


def pytest_collection_finish():
    """Look at what is there before the first test no more when garbage is collected: it is large, and stays."""
    # Hypothesis asks the garbage collector, once, who holds its random generator, and Python 3.14 leaves out what is
    # frozen. So that happens first. It shows only where the environment has CI=true.
    given(strategies.none())(lambda _: None)()
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Start no test again that ended its worker, as one that hangs does."""
    from xdist.scheduler import LoadFileScheduling

    class OnceScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            if nodeid.startswith(_SPREAD):
                return nodeid
            # Tests of the project's own files run together: the syntax trees are made once.
            folder, _, file = nodeid.partition("::")[0].rpartition("/")
            return folder if folder == "tests/project" else f"{folder}/{file}"

        def remove_node(self, node):
            files = self.assigned_work[node].values()
            running = next(((file, name) for file in files for name, done in file.items() if not done), None)
            if running is None:
                return super().remove_node(node)
            file, name = running
            file[name] = True
            super().remove_node(node)
            return name

    return OnceScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.thorough)])
def anyio_backend(request):
    """Run a test on asyncio, and with --thorough on trio too."""
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
def pytest_make_collect_report(collector):
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker and collector.path == TESTS and report.result:
        # Each worker begins with other folders, and finds what the others have compiled when it comes to theirs.
        count, first = worker["workercount"], int(worker["workerid"].removeprefix("gw"))
        report.result = [item for start in range(count) for item in report.result[(first + start) % count :: count]]
    return _forbid_skip(report)


@pytest.fixture
def threads_at_once(monkeypatch):
    """Run the work of threads at once, in no virtual time, so that no thread's speed changes the number of requests."""

    async def run_at_once(work, *args, **_):
        await anyio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_at_once)
