"""Cannot be imported."""

raise RuntimeError("as it should")
