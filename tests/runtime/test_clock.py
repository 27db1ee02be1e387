"""The real clock."""

import runpy
import sys
import time

import pytest

from carecloud_async._base.runtime import clock
from carecloud_async._base.runtime.clock import SystemClock


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long the machine slept")
def test_the_clock_counts_while_the_machine_sleeps(monkeypatch):
    """What was read before a laptop or a virtual machine was suspended for hours is hours old."""
    slept, real = 8 * 3600.0, time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda kind: real(kind) + (slept if kind == time.CLOCK_BOOTTIME else 0))
    assert runpy.run_path(clock.__file__)["SystemClock"]().monotonic() - SystemClock().monotonic() >= slept - 1
