"""Serves a WSGI script by its path with waitress: waitress_server.py PORT URL SCRIPT. Runs in the applications' environment."""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import waitress

port, url, script = sys.argv[1:]
spec = spec_from_loader("script", SourceFileLoader("script", script))
module = module_from_spec(spec)
sys.modules["script"] = module
spec.loader.exec_module(module)
waitress.serve(module.application, host="127.0.0.1", port=int(port), threads=5, url_prefix=url.rstrip("/"))
