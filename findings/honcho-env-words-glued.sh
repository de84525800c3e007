#!/usr/bin/env bash
# honcho 2.0.0 glues the words of a value in `.env` together, cuts it at a # inside a word, and does not set an empty one.
#
# A line like `OPTIONS=-c search_path=site` is read alike by python-dotenv and by systemd (EnvironmentFile=), and honcho names itself a Foreman
# clone. It takes the line apart like a shell, by shlex.shlex(): blanks separate tokens, which are joined with nothing between them, and # begins
# a comment wherever it stands, in the middle of a password too. A backslash goes, `NAME=` leaves a variable of the parent as it was, and a
# line with `export` is passed over. No message. What is spoiled wins, too: an application that loads the file itself (load_dotenv()) keeps
# variables that are there, so it works without honcho and not below it. Double quotes around the value are read alike by both.
# The package's README says nothing of this; the reader is parse() in honcho/environ.py.
#
# Seen with CPython 3.11.7:
#   OPTIONS=-c search_path=site    honcho '-csearch_path=site'    python-dotenv '-c search_path=site'
#   PASSWORD=p#ss                  honcho 'p'                     python-dotenv 'p#ss'
#   PROXY=                         honcho 'of the shell'          python-dotenv ''
#   QUOTED="p#ss word"             honcho 'p#ss word'             python-dotenv 'p#ss word'
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install honcho==2.0.0 python-dotenv==1.2.4
mkdir site
cat >site/.env <<'ENV'
OPTIONS=-c search_path=site
PASSWORD=p#ss
PROXY=
QUOTED="p#ss word"
ENV
cat >see.py <<'PY'
import json
import os
import subprocess
import sys

from dotenv import dotenv_values

print_environ = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
honcho = [os.path.join(os.path.dirname(sys.executable), "honcho"), "-d", "site", "run", *print_environ]
inherited = {name: value for name, value in os.environ.items() if name not in ("OPTIONS", "PASSWORD", "QUOTED")}
ran = subprocess.run(honcho, env=inherited | {"PROXY": "of the shell"}, stdout=subprocess.PIPE, check=True)
by_honcho = json.loads(ran.stdout)
by_dotenv = dotenv_values("site/.env")
for line in open("site/.env"):
    name = line.partition("=")[0]
    print(f"{line.strip():30} honcho {by_honcho[name]!r:23} python-dotenv {by_dotenv[name]!r}")
assert [by_honcho[name] for name in by_dotenv] == ["-csearch_path=site", "p", "of the shell", "p#ss word"]
assert list(by_dotenv.values()) == ["-c search_path=site", "p#ss", "", "p#ss word"]
PY
venv/bin/python see.py
