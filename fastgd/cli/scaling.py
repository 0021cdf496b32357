"""The one scale of data whose numbers all mean the same: pixels.

Columns of a table are scaled each by its own: ``fit(standardize=True)``.
"""

from __future__ import annotations

import numpy as np

__all__ = ["input_scale_of"]

Array = np.ndarray


def input_scale_of(X: Array, input_scale: float) -> float:
    """Return what inputs are multiplied by: the data's own factor; bytes end at 1.

    >>> input_scale_of(np.array([[0, 200]], np.uint8), 1.0)
    0.005
    """
    if input_scale == 1 and X.dtype == np.uint8 and X.max() > 1:
        return 1 / float(X.max())
    return input_scale
