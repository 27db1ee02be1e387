"""What the tables of a pipeline of dlt hold."""


def fetch(pipeline, query):
    with pipeline.sql_client() as client:
        return client.execute_sql(query)


def ids(pipeline, table="customers", column="customer_id"):
    return sorted(row[0] for row in fetch(pipeline, f"SELECT {column} FROM {table}"))
