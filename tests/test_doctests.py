"""Every example in a docstring of the installed package runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import fastgd
from fastgd.rules.activations import ACTIVATIONS
from fastgd.rules.losses import LOSSES
from fastgd.rules.optimizers import OPTIMIZERS
from fastgd.rules.schedules import SCHEDULES

MODULES = [
    info.name
    for info in pkgutil.walk_packages(fastgd.__path__, "fastgd.")
    if not info.name.endswith(("__main__", "_native"))
]


@pytest.mark.parametrize("name", ["fastgd", *MODULES])
def test_examples(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if name.startswith(("fastgd.backends.n", "fastgd.kernels")):
            pytest.skip(f"a backend that is not here: {error}")
        raise
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    "rule",
    [*ACTIVATIONS.values(), *LOSSES.values(), *map(type, OPTIMIZERS.values()), *SCHEDULES.values()],
    ids=lambda rule: getattr(rule, "__name__", type(rule).__name__),
)
def test_rules_show_how_they_are_used(rule):
    assert ">>>" in (rule.__doc__ or "")


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for test in finder.find(fastgd.Network) if test.examples]
    assert found
