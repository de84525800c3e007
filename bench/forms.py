"""Ours against itself: what a GIL mode gives two requests that compute at once, and what the measurements cost. Plain
figures as lines of text; how a server is started stands in servers.py.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import client
from measure import Sample, answers, measure
from servers import APPS, NoSuchForm, Running

MODES = ["shared GIL", "own GIL, two application groups", "interpreters=2", "free-threading"]
SWITCH = ["measurements off", "measurements on"]
HELLO = b"Hello, world!"


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


def measurements(rounds: int, seconds: float) -> list[str]:
    """Hello world with everything measured against nothing measured, in pairs of runs that change their order."""
    lines = []
    for processes, threads in ((1, 1), (2, 5)):
        pairs: list[dict[str, Sample]] = []
        for number in range(rounds):
            pair = {}
            for name in SWITCH if number % 2 else SWITCH[::-1]:
                with Running(name, APPS / "hello.py", processes, threads) as server:
                    sample = measure(server, "/", HELLO, 32, seconds, 1.0)
                if sample.invalid:
                    raise RuntimeError(f"{name}: {sample.invalid}")
                pair[name] = sample
            pairs.append(pair)
        rates = sorted(pair["measurements on"].requests_per_second / pair["measurements off"].requests_per_second for pair in pairs)
        cpu = sorted(pair["measurements on"].cpu_us_per_request / pair["measurements off"].cpu_us_per_request for pair in pairs)
        off = median(pair["measurements off"].requests_per_second for pair in pairs)
        lines.append(
            f"hello {processes}x{threads}, measurements: {median(rates):.3f} x ({rates[0]:.3f}-{rates[-1]:.3f}) of {off:,.0f} requests/s without; "
            f"{median(cpu):.3f} x ({cpu[0]:.3f}-{cpu[-1]:.3f}) the CPU per request"
        )
    return lines
