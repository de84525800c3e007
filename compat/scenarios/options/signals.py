"""Tries to install a signal handler, and prints to stdout."""

import signal

before = signal.getsignal(signal.SIGUSR2)
signal.signal(signal.SIGUSR2, lambda *_: None)


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(signal.getsignal(signal.SIGUSR2) == before).encode()]
