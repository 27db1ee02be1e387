"""Where the tests' time goes: the plugin behind `python -m tests --durations`.

Processor time says what a test costs beside others on a busy machine; wall time beyond it is waiting. Both count from
the making of a test's fixtures to the end of their teardown; processor time includes all threads, and the child
processes that the test waited for.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict

import pytest

#: The name under which a worker's report carries a test's seconds to the process that prints.
_SECONDS = "seconds of processor time, of wall time"
_FILES, _IDS = 40, 60


def spent():
    """Return the seconds of processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


class Durations:
    """Measures each test, in the process that runs it, and prints the sums where the reports arrive."""

    def __init__(self):
        self.began = (0.0, 0.0)
        self.seconds = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self):
        self.began = (spent(), time.monotonic())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call):
        report = yield
        if call.when == "teardown":
            taken = (spent() - self.began[0], time.monotonic() - self.began[1])
            report.user_properties.append((_SECONDS, taken))
        return report

    def pytest_runtest_logreport(self, report):
        taken = dict(report.user_properties).get(_SECONDS)
        if taken is not None:
            self.seconds[report.nodeid] = taken

    def pytest_terminal_summary(self, terminalreporter):
        for line in table(self.seconds):
            terminalreporter.write_line(line)


def table(seconds):
    """Return the lines that show the seconds of tests by folder, by file and by id, the most expensive first."""
    lines = []
    for title, most, key in (("folder", None, _folder), ("file", _FILES, _file), ("id", _IDS, str)):
        sums = defaultdict(lambda: (0, 0.0, 0.0))
        for nodeid, (processor, wall) in seconds.items():
            tests, *before = sums[key(nodeid)]
            sums[key(nodeid)] = (tests + 1, before[0] + processor, before[1] + wall)
        lines += ["", f"processor s  wall s  tests  {title}"]
        ordered = sorted(sums.items(), key=lambda entry: -entry[1][1])
        lines += [f"{taken[1]:11.2f} {taken[2]:7.2f} {taken[0]:6}  {name}" for name, taken in ordered[:most]]
    whole = [sum(taken[place] for taken in seconds.values()) for place in (0, 1)]
    return [*lines, "", f"{whole[0]:11.2f} {whole[1]:7.2f} {len(seconds):6}  together"]


def _file(nodeid):
    return nodeid.partition("::")[0]


def _folder(nodeid):
    return _file(nodeid).rpartition("/")[0]
