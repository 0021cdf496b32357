"""The backends: three functions each, with identical arguments and results.

A backend is a module here with

``forward(architecture, parameters, X, outputs, n_threads)``
    Write the network's outputs for the rows of X into ``outputs`` (n, n_out). Return whether all
    inputs, as the network sees them, are finite: predictions read X once, and check it as they do.
``loss_and_gradient(architecture, parameters, rows, gradient, n_threads, draw)``
    Return the sum of the rows' costs, each times its weight, and add the sum of their gradients to
    ``gradient`` (n_parameters,) unless it is None. Sums, so that the caller may go through rows in
    pieces. ``draw`` says where the chance of dropout comes from; with None nothing is left out.
``train(architecture, parameters, slots, rows, batch_size, update, table, n_threads, draw,
penalties, sums)``
    Visit the rows in mini-batches of ``batch_size`` and step once for each, step i by row i of
    ``table`` (n_steps, 2, n_columns), as of `Optimizer.table`; change ``parameters`` and the
    optimizer's ``slots`` (n_slots, n_parameters) in place. Return the number of steps made and the
    sum of the rows' costs, each times its weight, added one step after the other to ``sums`` (2,),
    a sum and what rounding has left out of it, which are changed in place: an epoch's sum is then
    the same in however many calls it is made. Fewer steps than mini-batches means that the cost of
    the next one is not finite; no step is made for it.

``rows`` are `fastgd.engine.rows.Rows`, ``draw`` is a `fastgd.rules.dropout.Draw`;
``penalties`` (n_steps,) are what each step's cost has on top for every unit of the sum of the
squares of the weights, not the biases, before it: no step changes by it.
X is C-contiguous (n, n_in) float32, float64 or uint8, or, where no input is shifted, `Sparse` rows
of them; it is shifted and scaled as it is read (`fastgd.engine.scaling`), targets are already.
``parameters``, ``outputs``, ``gradient`` and ``slots`` are C-contiguous and of the network's dtype.
All else was checked before; a backend checks nothing.

A backend may have more, for speed alone, and whoever asks does without where it has not: ``quick``
for little calls, and ``repeated(architecture, parameters, slots, rows, batch_size, update, table,
n_threads, penalties)``, which returns `train` on these arrays, whatever they then hold, as a
function of the table (or None). That is not called again after fewer steps, or parameters that are
not finite.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType

from fastgd.errors import SettingError
from fastgd.rules.registry import unknown_name

__all__ = ["BACKENDS", "backend", "describe", "set_backend", "show_backends"]

#: The backends "auto" tries, in this order, each with the package it needs.
BACKENDS = {"native": "fastgd.backends._native", "numba": "numba", "numpy": "numpy"}
CHOICES = ("auto", *BACKENDS)

_chosen: str | None = None
#: What worked, by its name and package: looking again takes longer than a small prediction.
_found: dict[tuple[str, str | None], ModuleType] = {}


def _module(name: str) -> ModuleType:
    file = "reference" if name == "numpy" else name
    return importlib.import_module(f"fastgd.backends.{file}")


def why_not(name: str) -> str | None:
    """Return why a backend cannot work here, or None where it can."""
    package = BACKENDS[name]
    if importlib.util.find_spec(package) is None:
        return _native_missing() if name == "native" else f"{package} is not installed"
    error = _failure(name)
    if error is None:
        return None
    return f"{package} does not load: {type(error).__name__}: {error}".splitlines()[0]


def _failure(name: str) -> Exception | None:
    """Return what a backend's import raises, if anything."""
    try:
        _module(name)
    except Exception as error:  # a broken install must not take the other backends along
        return error
    return None


def _native_missing() -> str:
    """Return why the native backend was not built, as the build noted it."""
    note = Path(__file__).with_name("_native_missing.txt")
    if note.exists():
        return note.read_text(encoding="utf-8").strip()
    return "it was not built (FASTGD_NATIVE=0, or no C compiler when fastgd was installed)"


def set_backend(name: str) -> None:
    """Choose the backend for all networks from now on.

    Parameters
    ----------
    name : {"auto", "native", "numba", "numpy"}
        ``"auto"`` takes the first that works. The environment variable ``FASTGD_BACKEND`` does
        the same for a whole process.

    Raises
    ------
    ValueError
        If the name is unknown, or that backend cannot work here; the message says why.
    """
    global _chosen
    _chosen = _resolve(name, "backend")


def _resolve(name: str, argument: str) -> str:
    if name not in CHOICES:
        raise unknown_name(argument, name, CHOICES)
    if name != "auto":
        reason = why_not(name)
        if reason:
            raise SettingError(argument, f"{name!r} cannot be used: {reason}")
        return name
    for candidate in BACKENDS:
        if why_not(candidate) is None:
            return candidate
        error = _failure(candidate)
        if isinstance(error, SettingError):  # a slip must not cost the speed
            raise error
    raise AssertionError("numpy always works")


def current() -> str:
    """Return the name of the backend in use, choosing it on first use."""
    global _chosen
    if _chosen is None:
        _chosen = _resolve(os.environ.get("FASTGD_BACKEND") or "auto", "FASTGD_BACKEND")
    return _chosen


def backend(name: str | None = None) -> ModuleType:
    """Return a backend's module; without a name, the one in use."""
    chosen = current() if name is None else name
    found = _found.get((chosen, BACKENDS.get(chosen))) if isinstance(chosen, str) else None
    if found is None:
        chosen = _resolve(chosen, "backend")
        found = _found[chosen, BACKENDS[chosen]] = _module(chosen)
    return found


def describe() -> dict[str, str]:
    """Return each backend's state: "in use", "works", or why it does not work."""
    states = {}
    try:
        in_use = current()
    except ValueError as error:
        in_use, states["none"] = "", str(error)
    for name in BACKENDS:
        reason = why_not(name)
        states[name] = reason or ("in use" if name == in_use else "works")
    return states


def show_backends() -> None:
    """Print which backends work here, which is in use, and why the others do not work."""
    for name, state in describe().items():
        print(f"{name:8s} {state}")
