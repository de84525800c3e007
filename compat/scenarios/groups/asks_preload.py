"""Tells whether preload.py ran in this very interpreter."""

import os
import sys


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(getattr(sys, "preloaded", None) == os.getpid()).encode()]
