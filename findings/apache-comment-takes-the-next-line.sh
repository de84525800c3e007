#!/usr/bin/env bash
# Apache 2.4.71: a comment that ends in a backslash makes the next directive part of the comment.
#
# A backslash at the end continues a line, and Apache joins lines before it looks for #. `# moved from C:\site\` above a
# directive switches that directive off; `apache2 -t` says "Syntax OK" and no log has a word. With a blank after the
# backslash it is in force again. apacheconfig 0.3.2, which audits and rewrites such files, sees it in force in both.
#
# Seen:  Apache: X-Second    apacheconfig: X-First, X-Second
set -euo pipefail
. "$(dirname "$0")/shared/apache.bash"

install apacheconfig==0.3.2 ply==3.11 six==1.17.0
cat >headers.conf <<'CONF'
# These files were in C:\site\
Header set X-First 1
Header set X-Second 2
CONF
configure headers <headers.conf
"$httpd" -t -f "$work/httpd.conf" 2>&1 | grep -q "^Syntax OK"
cat >ask.py <<'PY'
from client import ask

head = ask(b"GET /page.html HTTP/1.0\r\nHost: site.example\r\n\r\n").partition(b"\r\n\r\n")[0].decode()
print(", ".join(line.split(":")[0] for line in head.split("\r\n") if line.startswith("X-")))
PY
observe "$httpd" -X -f "$work/httpd.conf" >apache.txt
apache=$(cat apache.txt)
reader=$(venv/bin/python -c "import apacheconfig; print(', '.join(line.split()[1] for line in apacheconfig.make_loader().__enter__().load('headers.conf')['Header']))")
echo "Apache: $apache    apacheconfig: $reader"
[ "$apache" = "X-Second" ] && [ "$reader" = "X-First, X-Second" ]
