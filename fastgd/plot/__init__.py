"""Pictures of networks and of how they learn, with matplotlib (``pip install "fastgd[plot]"``).

Each picture is a Display, as in scikit-learn: ``SomeDisplay.from_network(net, ...)`` computes and
draws it, ``.plot(ax=)`` draws it again, ``figure_`` and ``ax_`` are what was drawn, and its other
attributes are the numbers shown; `fastgd.plot.display.Display` says more. Each is also a command:
``fastgd show``.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Each Display and the module it is in; matplotlib is imported when one is first asked for.
DISPLAYS = {
    "ActivationsDisplay": "activations",
    "ActivityDisplay": "activity",
    "BoundaryDisplay": "boundary",
    "ConfusionDisplay": "confusion",
    "CurvatureDisplay": "curvature",
    "CurvesDisplay": "curves",
    "DependenceDisplay": "dependence",
    "DescentDisplay": "descent",
    "DiagnosisDisplay": "diagnosis",
    "DiagramDisplay": "diagram",
    "GradientsDisplay": "gradients",
    "ImportanceDisplay": "importance",
    "LandscapeDisplay": "landscape",
    "LearningRateDisplay": "rates",
    "MistakesDisplay": "mistakes",
    "NudgesDisplay": "nudges",
    "PathsDisplay": "landscape",
    "SliceDisplay": "landscape",
    "SpreadDisplay": "start",
    "StartsDisplay": "start",
    "SweepDisplay": "sweep",
    "TrainingAnimation": "training",
    "UpdateDisplay": "update",
    "WeightsDisplay": "weights",
}

__all__ = [*DISPLAYS, "theme"]


def __getattr__(name: str) -> Any:
    if name == "theme":
        return importlib.import_module("fastgd.plot.style").theme
    if name in DISPLAYS:
        return getattr(importlib.import_module(f"fastgd.plot.{DISPLAYS[name]}"), name)
    raise AttributeError(f"module 'fastgd.plot' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
