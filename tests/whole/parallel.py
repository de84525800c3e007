"""Two requests at once that use the CPU: do they run side by side?

On a shared machine the wall clock does not tell. The time in which a request was neither on a core nor waiting for one does:
under one GIL it is the time of the other request, side by side it is next to nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import harness

SECONDS = 0.3
Pair = tuple[str, str]


def waited(server: harness.Server, pair: Pair) -> float:
    """Seconds that two requests at once waited for something else than a core, in all."""
    with ThreadPoolExecutor(2) as both:
        asked = [both.submit(server.ask, f"{target}?burn={SECONDS}", timeout=60.0) for target in pair]
        return sum(float(one.result().json["waited"]) for one in asked)


def assert_side_by_side(server: harness.Server, pair: Pair, *, unlike: Pair) -> None:
    """The requests of `pair` do not wait for each other; those of `unlike` share a GIL and do."""
    seen: list[tuple[float, float]] = []

    def in_order() -> bool:
        seen.append((waited(server, pair), waited(server, unlike)))
        free, taking_turns = seen[-1]
        return taking_turns > 0.5 * SECONDS and free < 0.3 * taking_turns

    try:
        harness.until(in_order, "", 60)
    except AssertionError:
        shown = [(round(a, 3), round(b, 3)) for a, b in seen]
        raise AssertionError(f"{pair} do not run side by side, unlike {unlike}; seconds waited: {shown}") from None
