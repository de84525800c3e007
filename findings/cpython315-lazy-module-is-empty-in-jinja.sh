#!/usr/bin/env bash
# CPython 3.15.0rc2, Jinja2 3.1.6: with PYTHON_LAZY_IMPORTS=all a page loses its numbers without an error, until somebody calls a function.
#
# `environment.globals.update(vars(helpers))` is the usual way to give templates all helpers. Whoever reads a name of a module imports it; a copy of the
# module's dictionary holds what stands there, which is a placeholder until the first use. `{{ math.pi }}` asks the placeholder for `pi`, an
# object without attributes, and a template prints nothing for what is not there. When a function of `helpers` has used `math` before the copy is made, the
# same page is right: so it depends on the order of the first requests or imports.
#
# Seen:  unset: pi is 3.141592653589793.    all: pi is .    all, after helpers.area(1): pi is 3.141592653589793.
set -euo pipefail
. "$(dirname "$0")/shared/venv.bash"

install_into venv "$(cpython 3.15)" Jinja2==3.1.6 MarkupSafe==3.0.4
cat >helpers.py <<'PY'
import math


def area(radius):
    return math.pi * radius * radius
PY
cat >page.py <<'PY'
import sys

import helpers
import jinja2

if "used" in sys.argv:
    helpers.area(1)
environment = jinja2.Environment()
environment.globals.update(vars(helpers))
print(environment.from_string("pi is {{ math.pi }}.").render())
PY
venv/bin/python -V
before=$(venv/bin/python page.py)
all=$(PYTHON_LAZY_IMPORTS=all venv/bin/python page.py)
used=$(PYTHON_LAZY_IMPORTS=all venv/bin/python page.py used)
echo "unset: $before    all: $all    all, after helpers.area(1): $used"
[ "$before" = "pi is 3.141592653589793." ]
[ "$all" = "pi is ." ]
[ "$used" = "$before" ]
