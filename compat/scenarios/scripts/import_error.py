"""A script that asks for a module nobody has."""

import a_module_nobody_has  # noqa: F401
