"""The rules of RFC 9113 as a table of servers: `http2_table.py NAME=HOST:PORT ...`, each serving apps/streams.py without TLS."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

# Each of these three adds its cases.
import http2_frame_cases  # noqa: F401
import http2_request_cases  # noqa: F401
import http2_stream_cases  # noqa: F401
from http2_cases import CASES, run


def column(address: str) -> list[str | None]:
    """What is wrong with a server, for each case."""
    host, _, port = address.rpartition(":")
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda case: run(case, (host, int(port))), CASES))


def main() -> None:
    servers = dict(argument.split("=", 1) for argument in sys.argv[1:])
    columns = {name: column(address) for name, address in servers.items()}
    print("| section | rule | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 2))
    for case in sorted(CASES, key=lambda case: case.section):
        at = CASES.index(case)
        found = [problems[at] or "kept" for problems in columns.values()]
        print(f"| {case.section} | {case.name} | " + " | ".join(found) + " |")
    print(f"\n{len(CASES)} rules; kept: " + ", ".join(f"{name} {problems.count(None)}" for name, problems in columns.items()))


if __name__ == "__main__":
    main()
