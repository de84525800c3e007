"""Keeps the signals that it was told of; asks for its own end."""

import json
import os
import signal

import mod_wsgi

told = []


def heard(name, **event):
    told.append([name, event["signame"], event["signum"]])


mod_wsgi.subscribe_signals(heard)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/end":
        os.kill(os.getpid(), signal.SIGINT)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), "told": told}).encode()]
