"""Compare a list with a file: which rows and records are the same, different, or only on one side.

    report = await client.purchases.list(store_id=store).compare("bills.csv", match="external_purchase_id")
    report.missing_there          # bills of the file that never arrived

**What is compared.** Rows are read and checked as for a bulk write, and only the fields that a row names are compared.
The list is read exactly, as for an export; nothing is written. If the reading is not exact, `report.exact` is false:
records that seem to be missing may be there.

**What it costs.** The requests of one export of the list, about ten times its computing, and room on the disk for its
records and the rows. Memory does not grow with either.
"""
