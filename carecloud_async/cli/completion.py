"""Completion in the shell: names of resources and of filters."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from carecloud_async.cli.filters import filter_names
from carecloud_async.cli.resources import listable, readable

__all__ = ["complete_filter", "complete_list", "complete_path", "complete_record"]


def complete_list(incomplete: str) -> list[str]:
    """Return the lists whose name begins so."""
    return _beginning(incomplete, listable())


def complete_record(incomplete: str) -> list[str]:
    """Return the resources whose single records can be read, and whose name begins so."""
    return _beginning(incomplete, readable())


def complete_filter(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the filters, with their `=`, of the list that the command line names before."""
    # While the option that is completed has no value yet, the words before it are not assigned to parameters.
    words = [str(ctx.params.get("resource") or ""), *ctx.args]
    names = (word.replace("-", "_").replace("/", ".") for word in words)
    operation = next((listable()[name] for name in names if name in listable()), None)
    return [] if operation is None else [f"{name}=" for name in _beginning(incomplete, filter_names(operation))]


def complete_path(incomplete: str) -> list[str]:
    """Return the paths of the API that begin so."""
    from carecloud_async.resources import OPERATIONS

    return _beginning(incomplete.lstrip("/"), {operation.path.lstrip("/") for operation in OPERATIONS.values()})


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
