"""A script that ends its process, as it thinks."""

raise SystemExit(4)
