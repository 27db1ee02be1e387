"""Listings: one list operation with its filters; they read pages, export, stream and count."""
