"""The state of one sandbox (`sandbox_state`, with its clock, settings and tokens): customers, tables, users.

`facts` reads what the API declares and derives the tables from it, `tables` makes them and their records, `table` is a
single one, and `customers` that of customers. Values are computed on first use (`made_up`), and some are untidy.
"""
