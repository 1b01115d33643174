#!/usr/bin/env python3
"""Prints Parade's figures beside the best peer's, one line per metric and executor.

    python3 table.py parade.jsonl peers.jsonl

Each file has one JSON object per line: metric, executor, workers, value, unit. The
ratio says how many times better Parade is; below 1 the peer wins.
"""

import json
import sys

# A rate is better when higher; a time, and anything else, when lower.
HIGHER = {"tasks/s", "MB/s"}


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def table(ours, peers):
    rows = [("metric", "parade", "value", "best peer", "value", "unit", "ratio")]
    metrics = dict.fromkeys(r["metric"] for r in ours + peers)
    for metric in metrics:
        mine = [r for r in ours if r["metric"] == metric]
        theirs = [r for r in peers if r["metric"] == metric]
        pick = max if (mine + theirs)[0]["unit"] in HIGHER else min
        best = pick(theirs, key=lambda r: r["value"], default=None)
        for row in mine or [None]:
            rows.append((metric, *cells(row), *cells(best), unit(row or best), ratio(row, best)))
    return rows


def cells(row):
    return (row["executor"], f"{row['value']:,.4g}" if row["value"] < 1e4 else f"{row['value']:,.0f}") if row else ("-", "-")


def unit(row):
    return row["unit"]


def ratio(row, best):
    if not row or not best or row["unit"] != best["unit"] or not row["value"] or not best["value"]:
        return "-"
    better = row["value"] / best["value"]
    return f"{better if row['unit'] in HIGHER else 1 / better:.3g}"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: table.py parade.jsonl peers.jsonl")
    rows = table(read(sys.argv[1]), read(sys.argv[2]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    main()
