"""Run as a process of its own: Spark reads all customers and writes their ids as Parquet.

Prints the error of a read that fails, and exits with 3.
"""

import sys

from pyspark.sql import SparkSession

from carecloud_async.spark import CareCloudDataSource


def main(url, target):
    spark = (
        SparkSession.builder.master("local[2,4]")
        .config("spark.driver.memory", "512m")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    spark.dataSource.register(CareCloudDataSource)
    options = {"project_url": url, "resource": "customers", "partitions": "6", "count": "100"}
    frame = spark.read.format("carecloud").options(**options).load()
    try:
        frame.select("customer_id").write.mode("overwrite").parquet(target)
    except Exception as error:  # noqa: BLE001  (printed, and looked at by the test)
        sys.stdout.write(str(error))
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
