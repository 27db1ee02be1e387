"""Customers. Copy this package to add a family: `operations` are its facts, `methods` what users call."""

from __future__ import annotations

from carecloud_async.resources.customers.methods import Customers
from carecloud_async.resources.customers.operations import OPERATIONS

__all__ = ["OPERATIONS", "Customers"]
