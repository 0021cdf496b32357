"""Toy problems with two inputs, whose boundaries can be drawn: made by a recipe and a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastgd.rules.checks import check_integer, check_number
from fastgd.rules.registry import unknown_name

__all__ = ["TOYS", "moons", "rings", "spirals", "toy"]

Array = np.ndarray


def moons(n: int, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two half circles, one reaching into the other."""
    y = np.arange(n) % 2
    angle = np.pi * rng.random(n)
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    X[y == 1] = [1.0, 0.5] - X[y == 1]
    return X - [0.5, 0.25] + rng.normal(0, noise, (n, 2)), y


def spirals(n: int, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Three arms that wind around the origin."""
    y = np.arange(n) % 3
    radius = 0.15 + 1.05 * rng.random(n)
    angle = 2 * np.pi * y / 3 + 3.2 * radius + rng.normal(0, noise, n)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), y


def rings(n: int, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """A disc, and the ring around it."""
    y = np.arange(n) % 2
    radius = np.where(y == 0, 0.45 * np.sqrt(rng.random(n)), 1.0)
    angle = 2 * np.pi * rng.random(n)
    X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    return X + rng.normal(0, noise, (n, 2)), y


#: Each problem's recipe and the noise it has by default.
TOYS: dict[str, tuple[Callable[..., tuple[Array, Array]], float]] = {
    "moons": (moons, 0.2),
    "spirals": (spirals, 0.25),
    "rings": (rings, 0.15),
}


def toy(
    name: str = "moons", n: int = 300, *, noise: float | None = None, seed: int = 0
) -> tuple[Array, Array]:
    """Return inputs X (n, 2) and classes y (n,) of a toy problem.

    Parameters
    ----------
    name : {"moons", "spirals", "rings"}
    n : int, default 300
        How many examples, the classes in turn.
    noise : float, optional
        How far points stray from the shape; for spirals in radians.
    seed : int

    Returns
    -------
    X : float64 ndarray of shape (n, 2)
    y : int64 ndarray of shape (n,)

    Raises
    ------
    TypeError, ValueError
        If an argument is not accepted.

    Examples
    --------
    >>> from fastgd.explain.toys import toy
    >>> X, y = toy("spirals", n=6, seed=1)
    >>> X.shape, y
    ((6, 2), array([0, 1, 2, 0, 1, 2]))
    """
    if name not in TOYS:
        raise unknown_name("name", name, TOYS)
    recipe, usual = TOYS[name]
    check_integer("n", n, 2)
    check_integer("seed", seed, 0)
    spread = usual if noise is None else check_number("noise", noise, minimum=0)
    X, y = recipe(n, spread, np.random.default_rng(seed))
    return X, y.astype(np.int64)
