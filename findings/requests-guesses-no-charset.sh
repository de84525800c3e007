#!/usr/bin/env bash
# requests 2.34.2, charset-normalizer 3.5.3: the same response has another text in an interpreter with its own GIL.
#
# charset-normalizer has compiled modules that refuse such an interpreter, and no fallback in Python: its import fails. requests catches
# that, warns once, and goes on without it: a response whose Content-Type names no charset is then UTF-8, whatever its bytes are. No
# exception, and the umlauts are gone. In the main interpreter of the same process they are there.
#
# Seen:  main: windows-1250 'Grüße aus München, schöne Straße'    isolated: utf-8 'Gr\ufffd\ufffde aus M\ufffdnchen, sch\ufffdne Stra\ufffde'
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" requests==2.34.2 charset-normalizer==3.5.3 idna==3.20 urllib3==2.8.0 certifi
venv/bin/python - <<'PY'
import _interpreters
import sys

print(sys.version)
READ = """
import requests
response = requests.Response()
response._content = "Grüße aus München, schöne Straße".encode("latin-1")
text = (response.apparent_encoding, response.text)
"""
here = {}
exec(READ, here)
print("main:", *map(ascii, here["text"]))
assert here["text"][1] == "Grüße aus München, schöne Straße"
interpreter = _interpreters.create("isolated")
error = _interpreters.exec(interpreter, READ + "print('isolated:', *map(ascii, text))\nassert text[0] == 'utf-8' and text[1].startswith('Gr\\ufffd')")
_interpreters.destroy(interpreter)
if error:
    sys.exit(error.formatted)
PY
