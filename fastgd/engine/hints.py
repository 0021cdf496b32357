"""What a fit says where its data look as if something had been forgotten."""

from __future__ import annotations

import warnings

import numpy as np

from fastgd.engine.architecture import Architecture
from fastgd.engine.inputs import Inputs

__all__ = ["hint_at_pixels"]

#: So many inputs, whole numbers from 0 to 255 with some above this, are the pixels of an image.
FEWEST, BRIGHT = 16, 100
#: Rows looked at.
ROWS = 256


def hint_at_pixels(inputs: Inputs, architecture: Architecture) -> None:
    """Warn where inputs are raw pixels: in that size they saturate every unit."""
    scaled = architecture.input_columns is not None or architecture.input_scale != 1
    if architecture.n_inputs < FEWEST or scaled:
        return
    step = max(1, len(inputs) // ROWS)
    X = inputs.take(np.arange(0, len(inputs), step)[:ROWS])
    some = X if isinstance(X, np.ndarray) else X.values
    if not some.size or not BRIGHT < some.max() <= 255 or some.min() < 0:
        return
    if (some == np.floor(some)).all():
        warnings.warn(
            "X holds whole numbers up to "
            f"{some.max():g}, as raw pixels are; networks learn from inputs of about 1: give "
            "Network(..., input_scale=1/255)",
            stacklevel=3,
        )
