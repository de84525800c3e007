"""Answers with the status, fields and body that the query gives; without a body it tells its environ as JSON."""

import json
from urllib.parse import parse_qsl


def application(environ, start_response):
    given = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
    status = next((value for key, value in given if key == "status"), "200 OK")
    fields = [tuple(value.split(":", 1)) for key, value in given if key == "h"]
    body = next((value.encode() for key, value in given if key == "body"), None)
    times = next((int(value) for key, value in given if key == "times"), 1)
    if body is None:
        body = json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode()
    if not any(name.lower() == "content-type" for name, _ in fields):
        fields.append(("Content-Type", "text/plain"))
    if times == 1 and not any(key == "open" for key, _ in given):
        fields.append(("Content-Length", str(len(body))))
    start_response(status, fields)
    return [body] * times
