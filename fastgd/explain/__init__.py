"""What a network does and why, as numbers: gradients taken apart, landscapes, curvature, diagnoses.

Nothing here draws: `fastgd.plot` shows these numbers, and ``fastgd show`` prints and draws them.
Costs and gradients come from the backends; what they do not return (every layer's z, a and delta)
comes from the reference they are tested against.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def __getattr__(name: str) -> Any:
    if name in {module.name for module in pkgutil.iter_modules(__path__)}:
        return importlib.import_module(f"fastgd.explain.{name}")
    raise AttributeError(f"module 'fastgd.explain' has no attribute {name!r}")
