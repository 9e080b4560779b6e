"""Runs queries by Spark, for history-sql.test.ts: {"tables": {name: folder}, "queries": [...], "settings": {name: value}} on standard input, their rows as JSON on standard output."""

import json
import sys
from datetime import datetime

from pyspark.sql import SparkSession

asked = json.load(sys.stdin)
builder = SparkSession.builder.master("local[1]")
for name, value in asked["settings"].items():
    builder = builder.config(name, value)
spark = (
    builder
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    .getOrCreate()
)
for name, folder in asked["tables"].items():
    spark.read.parquet(folder).createOrReplaceTempView(name)


def told(value):
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if value is None or isinstance(value, (bool, str)) else float(value)


print(json.dumps([[[told(value) for value in row] for row in spark.sql(query).collect()] for query in asked["queries"]]))
