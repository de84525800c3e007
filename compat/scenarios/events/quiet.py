"""Subscribed to nothing; asks for its request's data."""

import mod_wsgi


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/first":
        return [str(environ["mod_wsgi.request_id"] in mod_wsgi.active_requests).encode()]
    data = mod_wsgi.request_data()
    return [str((data, mod_wsgi.request_data() is data, len(mod_wsgi.active_requests))).encode()]
