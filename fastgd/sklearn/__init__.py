"""scikit-learn's `MLPClassifier` and `MLPRegressor` on fastgd: the same numbers, faster."""

try:
    import sklearn  # noqa: F401  (scikit-learn itself)
except ModuleNotFoundError:
    from fastgd.errors import MissingExtraError

    message = 'fastgd.sklearn needs scikit-learn: pip install "fastgd[sklearn]"'
    raise MissingExtraError(message) from None

from fastgd.sklearn.estimators import MLPClassifier, MLPRegressor, from_network

__all__ = ["MLPClassifier", "MLPRegressor", "from_network"]
