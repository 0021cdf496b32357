"""The embedded digits: 1,797 images of 8 x 8 pixels (digits.txt tells where they are from)."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from fastgd.data.dataset import Dataset

__all__ = ["load_digits"]


def load_digits() -> Dataset:
    """Return the embedded handwritten digits.

    The test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
    C. Kaynak, UCI Machine Learning Repository, 1998, doi:10.24432/C50P49,
    CC BY 4.0), the same 1,797 images that scikit-learn's `load_digits` returns.

    Returns
    -------
    Dataset
        X is uint8 (1797, 64) with values 0..16, y the digit; there is no test part
        (`split` makes one); `input_scale` is 1/16.

    Examples
    --------
    >>> from fastgd.data import load_digits
    >>> digits = load_digits()
    >>> digits.X.shape, digits.X.dtype, digits.n_classes, digits.image_shape
    ((1797, 64), dtype('uint8'), 10, (8, 8))
    """
    with files("fastgd.data").joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        X, y = stored["X"], stored["y"].astype(np.int64)
    return Dataset(X, y, input_scale=1 / 16, name="digits", kind="digits", image_shape=(8, 8))
