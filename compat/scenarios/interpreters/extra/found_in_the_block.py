"""Found by the interpreter whose block names this directory."""
