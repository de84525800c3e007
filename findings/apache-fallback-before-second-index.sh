#!/usr/bin/env bash
# Apache 2.4.71: FallbackResource answers for a folder whose index file exists, if that is the second name of DirectoryIndex.
#
# FallbackResource is for what is missing, and mod_dir says so. In a folder it asks the first name of DirectoryIndex; if that
# file is missing, the fallback has its turn, and the other names are never looked for. `DirectoryIndex index.php index.html`
# with a front controller then hides each index.html; the file itself is served when it is asked for by name.
#
# Seen:  DirectoryIndex index.html -> index    DirectoryIndex index.php index.html -> fallback    /second/index.html -> index
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

mkdir -p files/first files/second files/without
for folder in first second without; do
    echo index >"files/$folder/index.html"
done
echo fallback >files/fallback.html
configure dir <<CONF
<Directory $work/files/first>
    DirectoryIndex index.html
    FallbackResource /fallback.html
</Directory>
<Directory $work/files/second>
    DirectoryIndex index.php index.html
    FallbackResource /fallback.html
</Directory>
<Directory $work/files/without>
    DirectoryIndex index.php index.html
</Directory>
CONF
chmod -R a+rX files
cat >ask.py <<'PY'
from client import ask

EXPECTED = {
    "/first/": "index",
    "/first/missing": "fallback",
    "/second/": "fallback",
    "/second/index.html": "index",
    "/without/": "index",
}
seen = {}
for path in EXPECTED:
    head, _, body = ask(f"GET {path} HTTP/1.0\r\nHost: site.example\r\n\r\n".encode()).decode().partition("\r\n\r\n")
    assert head.split()[1] == "200", head
    seen[path] = body.strip()
    print(path, "->", seen[path])
assert seen == EXPECTED
PY
observe "$httpd" -X -f "$work/httpd.conf"
