"""The questions of search.rs, asked of DuckDB on the same files: two threads, warm, start-up left out."""

import ipaddress
import statistics
import sys
import time
from datetime import date, timedelta

import duckdb

COLUMNS = """event_time::timestamp as event_time, event_id, account, region, event_source, event_name, category, event_type, read_only, error_code,
    error_message, actor_type, actor_arn, actor_name, principal_id, actor_account, issuer_arn, access_key, issued_key,
    source_identity, on_behalf_of, invoked_by, source_ip, user_agent, vpc_endpoint, tls, request_id, shared_event_id, mfa,
    console, by_service, root, cross_account, resources, resource_types, source_object, source_index"""
USER = ["actor_name", "actor_arn", "principal_id", "source_identity", "on_behalf_of"]
FACETS = ["actor_name", "event_name", "event_source", "source_ip", "error_code", "account", "region", "actor_type"]


def main():
    folder = sys.argv[1]
    needles = dict(line.rstrip("\n").split(" ", 1) for line in open(f"{folder}/needles"))
    day = date.fromisoformat(needles["day"])
    base = connect(folder)
    one_day = f"dt = '{day}'"
    user = "(" + " or ".join(f"contains(lower({column}), lower($user))" for column in USER) + ")"
    name = "(x = $resource or suffix(x, '/' || $resource) or suffix(x, ':' || $resource))"
    resource = f"len(list_filter(resources, lambda x: {name})) > 0"
    questions = {
        "user, one day": (f"{user} and {one_day}", {"user": needles["user"]}),
        "newest of a day": (one_day, {}),
        "address, 30 days": ("source_ip = $ip", {"ip": str(ipaddress.ip_address(needles["ip"]))}),
        "access key, 30 days": ("access_key = $key", {"key": needles["access-key"]}),
        "resource, 30 days": (resource, {"resource": needles["resource"]}),
        "action, 30 days": ("lower(event_name) = 'stoplogging'", {}),
        "user, 30 days": (user, {"user": needles["user"]}),
    }
    for title, (condition, values) in questions.items():
        sql = f"select {COLUMNS} from records where {condition} order by event_time desc, account desc, event_id desc limit 100"
        show(title, lambda sql=sql, values=values: len(base.execute(sql, values).fetchall()))
    show("facets of a day", lambda: facets(base, one_day))


def connect(folder):
    base = duckdb.connect()
    base.execute("set threads = 2")
    base.execute("set enable_object_cache = true") if has(base, "enable_object_cache") else None
    base.execute("set parquet_metadata_cache = true") if has(base, "parquet_metadata_cache") else None
    files = f"{folder}/records/*/*.parquet"
    base.execute(f"create view records as select * from read_parquet('{files}', hive_partitioning = true)")
    return base


def has(base, setting):
    return base.execute("select count(*) from duckdb_settings() where name = ?", [setting]).fetchone()[0] > 0


def facets(base, condition):
    sets = ", ".join(f"({column})" for column in FACETS)
    base.execute(f"select {', '.join(FACETS)}, count(*) from records where {condition} group by grouping sets ({sets})").fetchall()
    buckets = "select epoch_ms(event_time) // 3600000 as hour, count(*), count(error_code), count(*) filter (not read_only)"
    return sum(row[1] for row in base.execute(f"{buckets} from records where {condition} group by hour").fetchall())


def show(title, ask):
    ask()
    times = []
    count = 0
    end = time.monotonic() + 6
    while len(times) < 3 or (len(times) < 40 and time.monotonic() < end):
        start = time.perf_counter()
        count = ask()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    print(title, f"{statistics.median(times):.2f}", f"{times[len(times) * 95 // 100]:.2f}", count, sep="\t")


main()
