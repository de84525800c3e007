"""An application with a difficult end; ENDS names the difficulty."""

import atexit
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gilkeeper
import mod_wsgi

HOW = os.environ["ENDS"].split()
GROUP = mod_wsgi.application_group
flag = threading.Event()


def say(text):
    print(f"ends: {text} in '{GROUP}'", file=sys.stderr, flush=True)


def wait():
    flag.wait()
    say("the thread has ended")


def run(daemon=False, target=wait, name="patient"):
    thread = threading.Thread(target=target, name=name, daemon=daemon)
    thread.start()
    return thread


if "subscribed" in HOW:
    run()
    gilkeeper.subscribe_shutdown(lambda name, **event: flag.set())
if "deadlock" in HOW:
    run()
    atexit.register(flag.set)
if "endless" in HOW:
    run()
if "daemon" in HOW:
    run(daemon=True, target=lambda: [time.sleep(0.001) for _ in iter(int, 1)], name="daemonic")
if "pool" in HOW:
    pool = ThreadPoolExecutor(2)
    pool.submit(say, "the pool works").result()
if "slow-subscriber" in HOW:
    gilkeeper.subscribe_shutdown(lambda name, **event: flag.wait())
if "libraries" in HOW:
    import asyncio, hashlib, ssl  # noqa: E401, F401
if "atexit" in HOW:
    atexit.register(say, "atexit ran")
    atexit.register(sys.exit, 3)
    atexit.register(lambda: 1 / 0)


def outcome(use):
    try:
        use()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "allowed"


def application(environ, start_response):
    path = environ["PATH_INFO"]
    answer = "fine"
    if path == "/daemon":
        answer = outcome(lambda: run(daemon=True, target=int))
    if path == "/thread":
        thread = run(target=int, name="short")
        thread.join()
        answer = f"daemon={thread.daemon}"
    if path == "/restricted":
        uses = [lambda: sys.stdin.read(), lambda: list(sys.stdin), lambda: print("x", flush=True)]
        uses.append(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
        answer = " | ".join(outcome(use) for use in uses)
    if path == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
