"""Answers with its interpreter's settings, and with its isolation: one with a GIL of its own is isolated."""

import json
import sys
import threading


def isolated():
    thread = None
    try:
        thread = threading.Thread(target=int, daemon=True)
        thread.start()
    except RuntimeError:
        return True
    thread.join()
    return False


def application(environ, start_response):
    seen = {
        "isolated": isolated(),
        "version": sys.version_info[:2],
        "switch_interval": sys.getswitchinterval(),
        "application_group": environ["mod_wsgi.application_group"],
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
