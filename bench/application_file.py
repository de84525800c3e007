"""The application of a file, for servers that are started from Python."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any


def load(script: str) -> Any:
    spec = importlib.util.spec_from_file_location("application", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Flask finds its templates through the module that is registered under its name.
    sys.modules["application"] = module
    spec.loader.exec_module(module)
    return module.application
