"""Readers for data that the exact readers refuse, so that one faulty record does not lose its page.

There are two kinds of fault. *Broken JSON* is not valid for msgspec: bad UTF-8, lone surrogates, NaN; `broken_json`
reads it. A *misfit* is a value that is not of its field's type, such as a zero date. For a record with few misfits,
`mended` applies the rules of `scalars` to these fields only, and msgspec reads the rest; `records` reads any record by
these rules, with cattrs. Both give the same result.
"""
