"""The builder of the site: pages are Markdown, the reference is written from docstrings, Zensical makes the HTML."""
