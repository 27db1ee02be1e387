"""Listings: one list operation with its filters, to page through, export, stream and count."""
