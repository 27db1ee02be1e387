"""CareCloud as a source and as a destination of dlt (extra `dlt`).

pipeline = dlt.pipeline("carecloud", destination="duckdb", dataset_name="crm")
pipeline.run(carecloud_source("customers", "cards"))

pipeline = dlt.pipeline("crm", destination=carecloud_destination("customers", match="email"))
pipeline.run(rows, table_name="customers")
"""

from carecloud_async.errors import ConfigurationError

try:
    import dlt as _dlt  # noqa: F401  (looked for here, so that its absence is reported once)
except ImportError as _error:
    raise ConfigurationError(
        "carecloud_async.dlt needs dlt, which is not installed: pip install 'carecloud-async[dlt]'"
    ) from _error

from carecloud_async.dlt.destination import carecloud_destination
from carecloud_async.dlt.source import carecloud_source

__all__ = ["carecloud_destination", "carecloud_source"]
