#!/usr/bin/env bash
# mod_wsgi 6.1.1 under Apache 2.4.71: behind a trusted proxy with TLS, one environ names two schemes.
#
# `WSGITrustedProxyHeaders X-Forwarded-Proto` makes `wsgi.url_scheme` https. REQUEST_SCHEME, which Apache gives beside it,
# stays http. An application or middleware that builds its redirects to https upon REQUEST_SCHEME, as CGI programs and PHP
# do, sends its visitors in circles, though what asks `wsgi.url_scheme` on the same server sees https.
#
# Seen:  direct: wsgi.url_scheme http, REQUEST_SCHEME http    by the proxy: wsgi.url_scheme https, REQUEST_SCHEME http
set -euo pipefail
. "$(dirname "$0")/shared/mod_wsgi.bash"

cat >app.wsgi <<'PY'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['REQUEST_SCHEME']}".encode()]
PY
site <<'CONF'
WSGITrustedProxies 127.0.0.1
WSGITrustedProxyHeaders X-Forwarded-Proto
CONF
cat >ask.py <<'PY'
from client import ask

seen = []
for header in ("", "X-Forwarded-Proto: https\r\n"):
    answer = ask(f"GET / HTTP/1.0\r\nHost: site.example\r\n{header}\r\n".encode()).partition(b"\r\n\r\n")[2].decode()
    seen.append(answer)
    print("by the proxy:" if header else "direct:", answer)
assert seen == ["http http", "https http"], seen
PY
observe "$httpd" -DFOREGROUND -f "$work/httpd.conf"
