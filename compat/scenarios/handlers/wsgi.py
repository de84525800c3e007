"""Says which script it is, and how its URL was split."""

import os


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["|".join([os.path.basename(__file__), environ["SCRIPT_NAME"], environ["PATH_INFO"]]).encode("latin-1")]
