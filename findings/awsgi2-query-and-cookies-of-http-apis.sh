#!/usr/bin/env bash
# awsgi2 1.0.2 behind an HTTP API or a function URL of AWS Lambda: ?tag=a&tag=b is tag=a,b, and no request has a cookie.
#
# Events of format 2.0 carry the query string as it came (rawQueryString), cookies as a list of their own, and a map of parameters in
# which repeated ones are joined with commas. The adapter takes path and method from where format 2.0 has them, so pages work; it builds
# QUERY_STRING from the map, and looks for cookies among the headers only, where format 1.0 had them. A form with two ticks stores one value
# that nobody chose, every visitor is a new one, and of two Set-Cookie the last is left. apig-wsgi, in the same run, has them all.
#
# Seen with CPython 3.11.7:  awsgi2: tag=a%2Cb, HTTP_COOKIE absent, sets b=2    apig-wsgi: tag=a&tag=b, HTTP_COOKIE s=1;t=2, sets a=1 b=2
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install awsgi2==1.0.2 apig-wsgi==2.20.0
venv/bin/python - <<'PY'
import apig_wsgi
import awsgi2

# As AWS documents it for `GET /find?tag=a&tag=b` with two cookies.
EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/find",
    "rawQueryString": "tag=a&tag=b",
    "cookies": ["s=1", "t=2"],
    "headers": {"host": "site.example", "x-forwarded-proto": "https", "x-forwarded-port": "443"},
    "queryStringParameters": {"tag": "a,b"},
    "requestContext": {
        "http": {"method": "GET", "path": "/find", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "agent"},
        "routeKey": "$default",
        "stage": "$default",
    },
    "isBase64Encoded": False,
}


class Context:
    aws_request_id = "1"
    function_name = "site"


def application(environ, start_response):
    seen.append((environ["PATH_INFO"], environ["QUERY_STRING"], environ.get("HTTP_COOKIE")))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [b"found"]


def cookies(answer):
    """What the client is told to keep."""
    return answer.get("cookies") or [answer["headers"]["Set-Cookie"]]


seen = []
set_by = [cookies(awsgi2.response(application, EVENT, Context)), cookies(apig_wsgi.make_lambda_handler(application)(EVENT, Context))]
for name, request, kept in zip(("awsgi2", "apig-wsgi"), seen, set_by):
    print(f"{name}:", *request, *kept)
assert seen == [("/find", "tag=a%2Cb", None), ("/find", "tag=a&tag=b", "s=1;t=2")], seen
assert set_by == [["b=2"], ["a=1", "b=2"]], set_by
PY
