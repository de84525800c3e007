"""A script that asks for a module nobody has."""

