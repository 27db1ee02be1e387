"""What the exact readers refuse: records arrive all the same, and no page is lost for one of them.

There are two kinds of fault. *Broken JSON* is no JSON to msgspec: bad UTF-8, lone surrogates, NaN; `broken_json` reads
it. A *misfit* is a value that is not of its field's type, such as a zero date. `mended` reads a record with few misfits
by the rules of `scalars` at these fields alone, and leaves the rest to msgspec; `records` reads any record by these
rules, with cattrs. Both give the same result.
"""
