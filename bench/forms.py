"""Ours against itself: what a GIL mode gives two requests that compute at once, and what the measurements cost, and hot holders among them.
Plain figures as lines of text; servers.py starts the servers.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, median, stdev

import client
from measure import STOLEN, TRIES, Sample, answers, load, one_run
from servers import APPS, NoSuchForm, Running

MODES = ["shared GIL", "own GIL, two application groups", "interpreters=2", "free-threading"]
# Pairs of runs for each start of the two servers.
PAIRS = 8
# Of `together`: pairs for each start, and starts in each round. Two starts of the same two servers differ by 1 %, and two runs
# of one start by far less.
TOGETHER = 2
STARTS = 8
HELLO = b"Hello, world!"
# An application, a page of it, and what the page must hold.
Page = tuple[Path, str, bytes]
HELLO_PAGE: Page = (APPS / "hello.py", "/", HELLO)
# Those of `threads`.
THREADS = ["without a GIL", "without a GIL, embedded"]


def ask(server: Running, target: str) -> None:
    with client.Connection(server.port, 60.0) as connection:
        connection.send(client.message("GET", target, host=f"127.0.0.1:{server.port}"))
        if (status := connection.response().status) != 200:
            raise RuntimeError(f"{server.name} answered {target} with {status}:\n{server.words()}")


def at_once(server: Running, targets: list[str]) -> float:
    """Seconds until all of these requests, sent together, are answered."""
    with ThreadPoolExecutor(len(targets)) as all_of_them:
        begun = time.monotonic()
        list(all_of_them.map(lambda target: ask(server, target), targets))
        return time.monotonic() - begun


def modes(rounds: int, seconds: float) -> list[str]:
    """Two requests at once that need `seconds` of CPU each, against one alone, in each GIL mode with 1 process x 2 threads."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in MODES}
    missing = []
    for _ in range(rounds):
        for name in MODES:
            try:
                with Running(name, APPS / "modes.py", 1, 2) as server:
                    answers(server, "/one?burn=0", b"gil_mode")
                    at_once(server, ["/one?burn=0.01", "/two?burn=0.01"])
                    alone = at_once(server, [f"/one?burn={seconds}"])
                    seen[name].append((alone, at_once(server, [f"/one?burn={seconds}", f"/two?burn={seconds}"])))
            except NoSuchForm:
                missing.append(name)
    lines = [f"two requests of {seconds:g} s CPU, {name}: not measured, GILKEEPER_FREE_THREADED names no server" for name in dict.fromkeys(missing)]
    for name, pairs in seen.items():
        if pairs:
            ratios = sorted(both / alone for alone, both in pairs)
            both = median(both for _, both in pairs)
            spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
            lines.append(f"two requests of {seconds:g} s CPU, {name}: {both:.2f} s together, {median(ratios):.2f} x one alone ({spread})")
    return lines


def measurements(rounds: int) -> list[str]:
    """Hello world with everything measured against nothing measured."""
    lines = []
    for processes, threads in ((1, 1), (2, 5)):
        starts = [together("measurements on", "measurements off", processes, threads, number) for number in range(rounds * STARTS)]
        rate = [sum(on.requests_per_second for on, _ in pairs) / sum(off.requests_per_second for _, off in pairs) for pairs in starts]
        cpu = [sum(on.cpu_us_per_request for on, _ in pairs) / sum(off.cpu_us_per_request for _, off in pairs) for pairs in starts]
        all_pairs = [pair for pairs in starts for pair in pairs]
        of = median(off.requests_per_second for _, off in all_pairs)
        lines.append(
            f"hello {processes}x{threads}, measurements: {middle(sorted(rate))} of {of:,.0f} requests/s without, {mean(rate)}; "
            f"{middle(sorted(cpu))} the CPU per request, {mean(cpu)}; {len(starts)} starts{disturbances(all_pairs)}"
        )
    return lines


def holders(rounds: int) -> list[str]:
    """Threads that compute under one GIL, with waits booked to lines against without."""
    page = (APPS / "cpu_and_wait.py", "/cpu", b"x")
    starts = [together("holders on", "holders off", 1, 8, number, page) for number in range(rounds * STARTS)]
    rate = [sum(on.requests_per_second for on, _ in pairs) / sum(off.requests_per_second for _, off in pairs) for pairs in starts]
    cpu = [sum(on.cpu_us_per_request for on, _ in pairs) / sum(off.cpu_us_per_request for _, off in pairs) for pairs in starts]
    all_pairs = [pair for pairs in starts for pair in pairs]
    of = median(off.requests_per_second for _, off in all_pairs)
    return [
        f"3 ms of CPU 1x8, waits booked to lines: {middle(sorted(rate))} of {of:,.0f} requests/s without, {mean(rate)}; "
        f"{middle(sorted(cpu))} the CPU per request, {mean(cpu)}; {len(starts)} starts{disturbances(all_pairs)}"
    ]


def together(
    one: str, other: str, processes: int, threads: int, number: int, page: Page = HELLO_PAGE
) -> list[tuple[Sample, Sample]]:
    """Runs of two servers under load at the same time, both on the machine's first CPU, the loads on its second. They share
    whatever happens to the machine, so what little they differ in is seen best here; their rates are half of one alone."""
    pairs = []
    # Who is started first, and who is loaded first, takes turns.
    names = (one, other) if number % 2 else (other, one)
    script, target, expected = page
    with Running(names[0], script, processes, threads) as first, Running(names[1], script, processes, threads) as second:
        servers = {server.name: server for server in (first, second)}
        sizes = {name: answers(server, target, expected) for name, server in servers.items()}
        for server in servers.values():
            load(server.port, target, 32, 1.0)
            server.keep_on(0)
        for turn in range(TOGETHER):
            order = names if turn % 2 else names[::-1]
            with ThreadPoolExecutor(len(order)) as all_of_them:
                runs = {name: all_of_them.submit(one_run, servers[name], target, expected, sizes[name], 32, 4.0, 1) for name in order}
            seen = {name: run.result() for name, run in runs.items()}
            for name, sample in seen.items():
                if sample.invalid:
                    raise RuntimeError(f"{name}: {sample.invalid}")
            pairs.append((seen[one], seen[other]))
    return pairs


def beside(peers: list[str], rounds: int) -> list[str]:
    """Hello world, 1 process x 1 thread, against each of these servers."""
    lines = []
    for peer in peers:
        pairs = [pair for number in range(rounds) for pair in slices(("gilkeeper", 1), (peer, 1), number)]
        cpu = [f"{median(one.cpu_us_per_request for one in side):.1f}" for side in zip(*pairs)]
        lines.append(f"hello 1x1, side by side: {rates(pairs)} with {peer}; CPU per request {cpu[0]} µs, and {cpu[1]} µs there")
    return lines


def threads(rounds: int) -> list[str]:
    """Two request threads of one process without a GIL against one: hello world, and a route that computes for 3 ms."""
    pages = {"hello": (APPS / "hello.py", "/", HELLO), "3 ms of CPU": (APPS / "modes.py", "/?burn=0.003", b"gil_mode")}
    lines = []
    for name in THREADS:
        for what, page in pages.items():
            told = f"{what}, {name}, 1x2 against 1x1"
            try:
                pairs = [pair for number in range(rounds) for pair in slices((name, 2), (name, 1), number, page)]
            except NoSuchForm:
                lines.append(f"{told}: not measured, GILKEEPER_FREE_THREADED names no server")
                continue
            cpu = sorted(two.cpu_us_per_request / one.cpu_us_per_request for two, one in pairs)
            used = [f"{median(sample.cpu_us_per_request for sample in side):.1f}" for side in zip(*pairs)]
            lines.append(f"{told}: {rates(pairs)}; {middle(cpu)} the CPU per request, {used[0]} µs against {used[1]}")
    return lines


def slices(one: tuple[str, int], other: tuple[str, int], number: int, page: Page = HELLO_PAGE) -> list[tuple[Sample, Sample]]:
    """Pairs of one-second runs of two servers that were started together, each a name and the threads of its one process: each second
    of load on the one has its second on the other right before or after it. What else happens to the machine lasts longer than that
    and hits both. A pair from which the hypervisor took CPU nevertheless is run again, so many times at most."""
    pairs = []
    script, target, expected = page
    with Running(one[0], script, 1, one[1]) as first, Running(other[0], script, 1, other[1]) as second:
        servers = (first, second)
        sizes = [answers(server, target, expected) for server in servers]
        for server in servers:
            load(server.port, target, 32, 1.0)
        for turn in range(PAIRS * TRIES):
            seen: list[Sample | None] = [None, None]
            for place in (0, 1) if (turn + number) % 2 else (1, 0):
                sample = one_run(servers[place], target, expected, sizes[place], 32, 1.0)
                if sample.invalid:
                    raise RuntimeError(f"{servers[place].name}: {sample.invalid}")
                seen[place] = sample
            pairs.append((seen[0], seen[1]))
            if len(undisturbed(pairs)) == PAIRS:
                break
    return undisturbed(pairs) or pairs


def undisturbed(pairs: list[tuple[Sample, Sample]]) -> list[tuple[Sample, Sample]]:
    """Those from which the hypervisor took next to nothing."""
    return [pair for pair in pairs if max(one.stolen for one in pair) <= STOLEN]


def rates(pairs: list[tuple[Sample, Sample]]) -> str:
    """How the requests per second of pairs compare."""
    ratios = sorted(one.requests_per_second / other.requests_per_second for one, other in pairs)
    return f"{middle(ratios)}, {len(pairs)} pairs{disturbances(pairs)}, of {median(other.requests_per_second for _, other in pairs):,.0f} requests/s"


def disturbances(pairs: list[tuple[Sample, Sample]]) -> str:
    """How many pairs the hypervisor took CPU from, if any."""
    disturbed = len(pairs) - len(undisturbed(pairs))
    return f", {disturbed} of {len(pairs)} pairs disturbed" if disturbed else ""


def middle(values: list[float]) -> str:
    """The median of sorted values, and what half of them lie between."""
    quarter = len(values) // 4
    return f"{median(values):.3f} x ({values[quarter]:.3f}-{values[-1 - quarter]:.3f})"


def mean(values: list[float]) -> str:
    """The mean, with its standard error."""
    error = f" ± {stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
    return f"mean {fmean(values):.4f}{error}"
