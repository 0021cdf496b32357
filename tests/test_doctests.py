"""Every example in a docstring of the installed package runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import fastgd

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


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for test in finder.find(fastgd.Network) if test.examples]
    assert found
