"""The site: its pages, and in `builder/` what makes the reference, the HTML and the Markdown for machines."""
