"""What a network does and why, as numbers: gradients taken apart, landscapes, curvature, diagnoses.

Nothing here draws: `fastgd.plot` shows these numbers, and ``fastgd show`` prints and draws them.
Costs and gradients come from the backends; what they do not return (every layer's z, a and delta)
comes from the reference they are tested against.
"""

from __future__ import annotations

import importlib
from typing import Any

#: What there is to explain, a module each; imported when it is first asked for.
__all__ = [
    "confusion",
    "curvature",
    "dependence",
    "diagnose",
    "gradients",
    "importance",
    "landscape",
    "layers",
    "mistakes",
    "nudges",
    "overfitting",
    "paths",
    "rates",
    "recording",
    "report",
    "slices",
    "slopes",
    "start",
    "sweep",
    "toys",
    "units",
    "update",
    "valley",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"fastgd.explain.{name}")
    raise AttributeError(f"module 'fastgd.explain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
