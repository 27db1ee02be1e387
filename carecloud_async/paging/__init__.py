"""Listings: pages, records, prefetch."""
