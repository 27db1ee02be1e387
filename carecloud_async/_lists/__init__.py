"""Many records: pages, listings, exports, changes."""
