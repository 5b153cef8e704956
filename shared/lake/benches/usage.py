"""What usage.rs counts, asked of DuckDB on the same files: two threads, start-up left out."""

import sys
import time

import duckdb


def main():
    base = duckdb.connect()
    base.execute("set threads = 2")
    base.execute(f"create view records as from read_parquet('{sys.argv[1]}/records/*/*.parquet', hive_partitioning = true)")
    started = time.monotonic()
    rows = base.execute(
        """select actor_type, coalesce(nullif(issuer_arn, ''), actor_arn) as actor, count(*), count(*) filter (error_code is null
        and not read_only), min(event_time::timestamp), max(event_time::timestamp), histogram(event_source || ':' || event_name),
        arg_max(event_id, event_time::timestamp, 5) from records group by all"""
    ).fetchall()
    print(f"DuckDB, grouping the same: {len(rows)} actors in {time.monotonic() - started:.2f} s")


main()
