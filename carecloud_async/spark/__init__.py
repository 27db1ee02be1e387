"""CareCloud as a data source of Spark (extra `spark`: PySpark 4 or newer).

    spark.dataSource.register(CareCloudDataSource)
    customers = spark.read.format("carecloud").option("resource", "customers").option("partitions", "8").load()

**Columns** are the model's: timestamps in UTC, dates, structs, arrays; fields that the model does not know are JSON
text in the last one, `unknown_fields`.

**Partitions** are disjoint ranges of ids, found on the driver with one request each. Every record that stays in the
list is in the DataFrame exactly once, even if others come and go (`carecloud_async.export`). A repeated task reads its
range again, and Spark keeps one of the results. A list that the server does not keep in the order of its ids is one
partition. A task whose range is not known to be exact fails, and is repeated.

**Streams** (`spark.readStream`) follow `last_change`: the first batch is everything (or begins at the option
`changed_since`), each later one what changed. The offset is a time as JSON, two minutes before the server's time,
since lists show a change with a delay. Records without a readable `last_change` are in every batch. Deletions are not
found. When clocks go back in autumn, changes of that hour may come twice: merge by id. A stream that is restarted on
its checkpoint reads what it read before: with another list, project, filter or `timezone` it is refused. If the list
had records and is empty, a batch fails, because a right that was taken away looks like that, and so does the read of a
list that is emptied between its planning and its tasks; `allow_inexact` accepts it.

**Options**: `resource` (needed; the list's name from the client, such as `customers` or `products.tags`), `partitions`
(8), `count` (records per page, 500), `concurrency` (pages in flight per task, 4), `filter.NAME`, `changed_since`,
`requests_per_second` (of each task, or of all with a Redis; adaptive if left out), `allow_inexact` (accept a range
that is not known to be exact), and `project_url`, `external_application_id`, `login`, `timezone`, `language`, which
default to the `CARECLOUD_*` variables.

**Python**: Spark starts `python3` of the path for its workers. In an environment that is not activated, set
`PYSPARK_PYTHON` to its Python before the session starts; otherwise there is a warning.

**Mistakes** in options are shown by Spark after its session has started, below a trace of Java. `read_options` raises
them before, without Spark:

    checked = read_options({"resource": "customers", "partitions": 8})
    spark.read.format("carecloud").options(**checked).load()

**Secrets** are not options, because options appear in plans and event logs: the password is read from
`CARECLOUD_PASSWORD` in the environment of the driver and of the executors, where the tasks log in. Set it before the
session starts; as `spark.executorEnv.CARECLOUD_PASSWORD` Spark redacts it by its name. `CARECLOUD_REDIS_URL` names a
Redis, by which all tasks share one token, one rate and one pause (extra `redis`); without it each logs in and finds its
rate on its own.

A vault or an identity of your own: subclass, and make the client yourself.

    class Ours(CareCloudDataSource):
        def connect(self):
            return CareCloud("acme.crmcarecloud.com", auth=credentials_of_the_vault())
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from carecloud_async.errors import ConfigurationError
from carecloud_async.spark.settings import problem_of_workers, read_options

if TYPE_CHECKING:
    from carecloud_async.spark.source import CareCloudDataSource

__all__ = ["CareCloudDataSource", "read_options"]

_log = logging.getLogger("carecloud_async.spark")


def __getattr__(name: str) -> Any:
    if name == "CareCloudDataSource":  # what reads its options works without Spark
        try:
            from carecloud_async.spark.source import CareCloudDataSource
        except ImportError as error:
            raise ConfigurationError(
                "carecloud_async.spark needs PySpark 4, which is not installed: pip install 'carecloud-async[spark]'"
            ) from error

        problem = problem_of_workers(os.environ, sys.executable)
        if problem is not None:  # a cluster may set it in another way
            _log.warning("%s", problem)
        return CareCloudDataSource
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
