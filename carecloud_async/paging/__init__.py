"""Pages, their records, prefetch, and how many pages are asked for at once."""
