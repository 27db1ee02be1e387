"""Customers and what belongs to one of them."""

from __future__ import annotations

from carecloud_async.resources.customers.customers import Customers

__all__ = ["Customers"]
