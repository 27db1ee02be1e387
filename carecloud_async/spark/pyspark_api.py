"""The names used from PySpark, and the message if it is not installed.

Pyright does not know the names then; modules that import them need a comment for it.
"""

from __future__ import annotations

from carecloud_async.errors import ConfigurationError

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition  # pyright: ignore[reportMissingImports]
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema  # pyright: ignore[reportMissingImports]
    from pyspark.sql.types import StructType  # pyright: ignore[reportMissingImports]
except ImportError as _error:
    raise ConfigurationError(
        "carecloud_async.spark needs PySpark 4, which is not installed: pip install 'carecloud-async[spark]'"
    ) from _error

__all__ = [
    "DataSource",
    "DataSourceReader",
    "DataSourceStreamReader",
    "InputPartition",
    "StructType",
    "from_arrow_schema",
    "to_arrow_schema",
]
