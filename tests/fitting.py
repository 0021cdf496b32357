"""What tests of fits share: some examples, and networks to learn them."""

from __future__ import annotations

import numpy as np

import fastgd

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
CLASSES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)
Y = np.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1)
W = rng.random(60)
W[::7] = 0


def classifier(backend=None, **settings):
    rules = {"output": "softmax", "loss": "cross_entropy", "seed": 1, "dtype": "float64"}
    return fastgd.Network([4, 6, 3], **{**rules, "backend": backend, **settings})


def regressor(backend=None, **settings):
    rules = {"output": "identity", "loss": "mse", "seed": 1, "dtype": "float64"}
    return fastgd.Network([4, 6, 2], **{**rules, "backend": backend, **settings})
