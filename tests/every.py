"""A matrix of cheap cases in one test: for pytest, an item of its own costs more than such a case."""

from __future__ import annotations

import functools
import inspect

import pytest
from thorough import is_thorough

_FAILURES = (Exception, pytest.fail.Exception)


def every(name, cases, *, ids=str, thorough=()):
    """Call the decorated test with each case; all are tried, and each that fails is named.

    Fixtures are made once, so a case must leave them as it found them.

    Args:
        name: the test's argument for a case, or several with commas, as for `parametrize`.
        cases: the cases.
        ids: what a value of a case that fails is called.
        thorough: cases that are variants of others, and are tried with `--thorough` only.
    """
    names = [item.strip() for item in name.split(",")]
    if unknown := [case for case in thorough if case not in cases]:
        raise ValueError(f"no such cases: {unknown}")
    cases = [case if len(names) > 1 else (case,) for case in cases if is_thorough() or case not in thorough]

    def decorate(test):
        signature = inspect.signature(test)
        others = [parameter for parameter in signature.parameters.values() if parameter.name not in names]

        if inspect.iscoroutinefunction(test):

            async def run(**fixtures):
                errors = []
                for case in cases:
                    try:
                        await test(**fixtures, **dict(zip(names, case, strict=True)))
                    except _FAILURES as error:
                        errors.append(_named(error, map(ids, case)))
                _raise(errors)
        else:

            def run(**fixtures):
                errors = []
                for case in cases:
                    try:
                        test(**fixtures, **dict(zip(names, case, strict=True)))
                    except _FAILURES as error:
                        errors.append(_named(error, map(ids, case)))
                _raise(errors)

        functools.update_wrapper(run, test)
        run.__signature__ = signature.replace(parameters=others)
        run.cases, run.left_out = cases, thorough
        return run

    return decorate


def _named(error, values):
    error.add_note(f"case: {', '.join(values)}")
    return error


def _raise(errors):
    if errors:
        raise BaseExceptionGroup("these cases fail", errors)
