"""Pages, their records, prefetch, and how many pages are requested at once."""
