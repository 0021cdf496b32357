"""scikit-learn's own two classes, trained by fastgd: the methods change, the classes stay.

Because ``sklearn.neural_network.MLPClassifier`` stays the class it is, every reference to it is
reached: names imported before, in closures, tables and defaults, estimators that were made
before, classes derived from it. ``isinstance``, ``type(model)`` and pickles are scikit-learn's.
"""

from __future__ import annotations

import functools
import inspect
import threading
from abc import ABCMeta
from importlib import import_module
from multiprocessing import parent_process
from typing import Any

from sklearn import neural_network
from sklearn.utils.metaestimators import available_if

from fastgd.sklearn import estimators

__all__ = [
    "is_patched",
    "load_ipython_extension",
    "patch_sklearn",
    "unload_ipython_extension",
    "unpatch_sklearn",
]

_NAMES = ("MLPClassifier", "MLPRegressor")
_METHODS = ("fit", "partial_fit", "predict", "predict_proba", "predict_log_proba")

_LOCK = threading.RLock()
#: Of each class that is patched, what stood in it before; ``_INHERITED`` where nothing did.
_BEFORE: dict[type, dict[str, Any]] = {}
_INHERITED = object()


def patch_sklearn() -> None:
    """Let scikit-learn's MLPClassifier and MLPRegressor train and predict on fastgd.

    Names imported before, estimators made before and classes derived from the two are reached.
    The classes stay scikit-learn's own, so that ``isinstance``, ``clone`` and pickles go on as
    before, and a model unpickles where fastgd is not installed. What fastgd does not cover is left
    to scikit-learn. Patching twice is patching once; any thread may do it.

    See Also
    --------
    unpatch_sklearn : Give scikit-learn its own methods back.

    Notes
    -----
    Processes that joblib or multiprocessing start are patched with the first estimator, or one of
    the two classes, that travels to them.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> from fastgd.sklearn import patch_sklearn, unpatch_sklearn
    >>> patch_sklearn()
    >>> model = MLPClassifier([8], solver="lbfgs", random_state=0)
    >>> model = model.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    >>> type(model).__module__
    'sklearn.neural_network._multilayer_perceptron'
    >>> unpatch_sklearn()
    """
    with _LOCK:
        for theirs, ours in _classes().items():
            if theirs not in _BEFORE:
                _patch(theirs, ours)
        _reach_workers()


def unpatch_sklearn() -> None:
    """Give scikit-learn's classes their own methods back; models keep what they have learned."""
    with _LOCK:
        while _BEFORE:
            theirs, before = _BEFORE.popitem()
            for name, value in before.items():
                if value is _INHERITED:
                    delattr(theirs, name)
                else:
                    setattr(theirs, name, value)


def is_patched() -> bool:
    """Return whether scikit-learn's classes train on fastgd now."""
    return bool(_BEFORE)


def load_ipython_extension(ipython: Any) -> None:
    """Patch scikit-learn: ``%load_ext fastgd.sklearn``."""
    patch_sklearn()


def unload_ipython_extension(ipython: Any) -> None:
    """Undo it: ``%unload_ext fastgd.sklearn``."""
    unpatch_sklearn()


def _classes() -> dict[type, type]:
    """Return fastgd's class for each of scikit-learn's, as they are now."""
    return {getattr(neural_network, name): getattr(estimators, name) for name in _NAMES}


def _patch(theirs: type, ours: type) -> None:
    names = [name for name in _METHODS if hasattr(theirs, name)]
    methods = {name: _method(name, theirs, ours) for name in names}
    _BEFORE[theirs] = {name: vars(theirs).get(name, _INHERITED) for name in names}
    for name, method in methods.items():
        setattr(theirs, name, method)


def _method(name: str, theirs: type, ours: type) -> Any:
    """Return the method that stands in scikit-learn's class for its own of that name."""
    before = inspect.getattr_static(theirs, name)
    original, lent = getattr(theirs, name), getattr(ours, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self, ours):  # fastgd's own class, which asks for scikit-learn's part
            return original(self, *args, **kwargs)
        twin = _twin(self, theirs, ours)
        result = lent(twin, *args, **kwargs)
        return self if result is twin else result

    if inspect.isfunction(before):
        return method
    return available_if(lambda estimator: before.__get__(estimator, theirs) is not None)(method)


def _twin(estimator: Any, theirs: type, ours: type) -> Any:
    """Return an estimator of fastgd's class with the same attributes: the same, not equal ones."""
    cls: type = type(estimator)
    twin: Any = object.__new__(_twin_class(cls, theirs, ours))
    twin.__dict__ = estimator.__dict__
    return twin


@functools.lru_cache(maxsize=64)
def _twin_class(cls: type, theirs: type, ours: type) -> type:
    """Return the class whose instances lend an estimator fastgd's methods for one call.

    What fastgd's class takes besides has its default, as an attribute of this class. What a class
    of others derives from scikit-learn's comes first: fastgd leaves to it what it replaces.
    """
    known = inspect.signature(theirs.__init__).parameters  # type: ignore[misc]
    taken = inspect.signature(ours.__init__).parameters  # type: ignore[misc]
    extras = {name: taken[name].default for name in taken if name not in known}
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    own: Any = cls
    accepted = {"_parameter_constraints": own._parameter_constraints}  # what is accepted is theirs
    bases = (ours,) if cls is theirs else (cls, ours)
    return type(cls)(cls.__name__, bases, {**extras, **names, **accepted})


def _reach_workers() -> None:
    """Let processes of this program do as this one, once one of the two classes travels to them."""
    from multiprocessing.reduction import ForkingPickler

    from joblib.externals.loky.backend.reduction import register

    ForkingPickler.register(ABCMeta, _sent)
    register(ABCMeta, _sent)


def _sent(cls: type) -> str | tuple[Any, ...]:
    """Return how a class is pickled for another process of this program."""
    if cls in _classes():
        return _received, (cls.__module__, cls.__qualname__, cls in _BEFORE)
    return cls.__qualname__  # as any class


def _received(module: str, name: str, patched: bool) -> type:
    if parent_process() is not None:  # a worker, which may have been patched for an earlier task
        (patch_sklearn if patched else unpatch_sklearn)()
    return getattr(import_module(module), name)
