#!/usr/bin/env bash
# Two Django 5.2.19 sites in two interpreters of one process: the second one's TIME_ZONE is in the first one's log lines.
#
# Each sub-interpreter has its own os.environ and its own `time` module, so TIME_ZONE looks like a setting of the site. Django
# puts it into TZ and calls time.tzset(), and the C library has one zone for the process. From then on the first site's
# datetime.now(), log lines and mail dates are in the second one's zone, while os.environ["TZ"], time.timezone and
# time.tzname still name its own: what one would print to find the fault shows the right zone.
#
# Seen with CPython 3.14.7:  Tokyo alone: 09:00 +0900    after New York was loaded: 19:00 -0500, TZ Asia/Tokyo, timezone -32400
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.14)" Django==5.2.19
echo 'SECRET_KEY, TIME_ZONE = "of no use", "Asia/Tokyo"' >tokyo.py
echo 'SECRET_KEY, TIME_ZONE = "of no use", "America/New_York"' >new_york.py
cat >look.py <<'PY'
import os
import sys
import time


def clock():
    return f"{time.strftime('%H:%M %z', time.localtime(0))}, TZ {os.environ['TZ']}, timezone {time.timezone}"
PY
PYTHONPATH=. venv/bin/python - <<'PY'
from concurrent import interpreters


def site(settings):
    interpreter = interpreters.create()
    interpreter.exec(f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = '{settings}'; import django; django.setup(); import look")
    return interpreter


def clock(interpreter):
    told = interpreters.create_queue()
    interpreter.prepare_main(told=told)
    interpreter.exec("told.put(look.clock())")
    return told.get()


tokyo = site("tokyo")
seen = [clock(tokyo)]
new_york = site("new_york")
seen.append(clock(tokyo))
print("Tokyo alone:", seen[0], "   after New York was loaded:", seen[1])
assert seen == ["09:00 +0900, TZ Asia/Tokyo, timezone -32400", "19:00 -0500, TZ Asia/Tokyo, timezone -32400"]
tokyo.close()
new_york.close()
PY
