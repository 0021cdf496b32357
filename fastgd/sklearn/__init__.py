"""scikit-learn's `MLPClassifier` and `MLPRegressor`, trained by fastgd: same numbers, faster."""

try:
    import sklearn  # noqa: F401  (scikit-learn itself)
except ModuleNotFoundError:
    from fastgd.errors import MissingExtraError

    message = 'fastgd.sklearn needs scikit-learn: pip install "fastgd[sklearn]"'
    raise MissingExtraError(message) from None

from fastgd.sklearn import verbose  # noqa: F401  (names fits where that is asked for)
from fastgd.sklearn.estimators import MLPClassifier, MLPRegressor, from_network
from fastgd.sklearn.networks import to_network
from fastgd.sklearn.onnx import register_onnx
from fastgd.sklearn.patching import (
    load_ipython_extension,
    patch_sklearn,
    unload_ipython_extension,
    unpatch_sklearn,
)

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "from_network",
    "load_ipython_extension",
    "patch_sklearn",
    "register_onnx",
    "to_network",
    "unload_ipython_extension",
    "unpatch_sklearn",
]
