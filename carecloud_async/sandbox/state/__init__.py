"""The state of one sandbox (`sandbox_state`, with its clock and settings): customers, tables, tokens, users.

`facts` reads what the API declares, `plans` derives the tables from it, `tables` makes them, and `table` is one of
them; `customer_store` is the table of customers. Records are made up on first use by `people` (customers and users) and
`record_maker` (all others, with `texts`), from choices that are computed (`draw`); `untidy` makes some of them untidy.
"""
