"""Tells what this interpreter was given."""

import importlib.util
import json
import signal
import sys


def outcome(use):
    try:
        use()
    except Exception as problem:
        return type(problem).__name__
    return "allowed"


def install():
    # As before, so that the server finds what it expects.
    return signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGALRM))


def application(environ, start_response):
    seen = {
        "switch_interval": sys.getswitchinterval(),
        "stdin": outcome(lambda: sys.stdin.fileno()),
        "stdout": outcome(lambda: sys.stdout.flush()),
        "signal": outcome(install),
        "strangers": [name for name in ("front", "worker", "doctor") if importlib.util.find_spec(name)],
        "found": importlib.util.find_spec("found_in_the_block") is not None,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
