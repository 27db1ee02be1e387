"""Answers drawn from a seed, with cancels at any moment: no wrong answer, and nothing is left behind."""

import asyncio
import gc
import importlib
import logging
import sys

import pytest
import trio
from thorough import examples
from wire_fuzzer import Fuzzer


def eager_loop():
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


LOOPS = {"asyncio": asyncio.new_event_loop, "trio": None}
if sys.platform != "win32":
    LOOPS["uvloop"] = importlib.import_module("uvloop").new_event_loop
if sys.version_info >= (3, 12):
    LOOPS["eager tasks"] = eager_loop


def fuzz(loop, seed, calls):
    if loop == "trio":  # httpx2's pool takes bytes behind an answer for the next one
        fuzzer = trio.run(Fuzzer(seed, calls, strays=False).run)
    else:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            fuzzer = runner.run(Fuzzer(seed, calls).run())
    gc.collect()  # what was left open warns now, and fails the test
    assert fuzzer.wrong == []
    assert set(fuzzer.leaks.values()) == {0}, fuzzer.leaks
    return fuzzer


@pytest.mark.parametrize("loop", LOOPS)
def test_no_answer_is_wrong_and_nothing_leaks(loop):
    """Cut, broken, packed, stray and endless answers, of whose calls every tenth is cancelled: each has its outcome."""
    fuzzer = fuzz(loop, seed=1, calls=examples(800))
    assert {"right", "none", "error", "cancelled"} <= set(fuzzer.outcomes)


@pytest.mark.thorough
@pytest.mark.parametrize("loop", LOOPS)
def test_twenty_thousand_answers_are_right_and_memory_stays_flat(loop, caplog):
    """The same with 20,000 calls: the number of objects does not grow."""
    for name in ("carecloud_async", "asyncio"):
        caplog.set_level(logging.CRITICAL, name)  # pytest keeps records
    first, last = fuzz(loop, seed=2, calls=20_000).objects
    assert last < first + 2000
