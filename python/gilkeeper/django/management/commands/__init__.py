"""One command: `gilkeeper`."""
