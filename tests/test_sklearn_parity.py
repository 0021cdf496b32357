"""fastgd's estimators have scikit-learn's numbers, whatever the setting.

``FASTGD_PARITY=1000 pytest tests/test_sklearn_parity.py`` tries that many settings.
"""

import os
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from scipy.sparse import csr_array
from sklearn import neural_network
from sklearn.utils.fixes import parse_version

import fastgd.sklearn
from fastgd.sklearn.parts import TAKES_WEIGHTS

N_SETTINGS = int(os.environ.get("FASTGD_PARITY", "60"))
TOLERANCE = {"float64": 1e-6, "float32": 1e-3}
#: 1.6 and 1.7 cannot, for early stopping.
SCORES_TEXT = parse_version(sklearn.__version__) >= parse_version("1.8")
DIVERGED = "numbers that are not finite"
TASKS = ("binary", "classes", "multilabel", "regression", "outputs", "counts")


def choose(rng, *options):
    return options[rng.integers(len(options))]


def draw_data(rng, task, n=None):
    """Return X and y of a small task."""
    n, n_in = n or int(rng.integers(20, 90)), int(rng.integers(1, 9))
    X = rng.normal(size=(n, n_in)) * choose(rng, 1.0, 1.0, 20.0)
    z = X @ rng.normal(size=(n_in, 4)) / np.abs(X).max()
    if task == "binary":
        return X, np.where(z[:, 0] > 0, "yes", "no")
    if task == "classes":
        return X, z.argmax(axis=1) * 2
    if task == "multilabel":
        return X, (z[:, :3] > 0).astype(int)
    if task == "regression":
        return X, z[:, 0]
    return X, z[:, :2] if task == "outputs" else np.floor(3 * np.exp(z[:, 0]))


def draw_setting(rng, task):
    solver = choose(rng, "sgd", "sgd", "adam", "adam", "lbfgs")
    hidden = [int(rng.integers(1, 20)) for _ in range(rng.integers(0, 3))]
    setting = {
        "solver": solver,
        "hidden_layer_sizes": hidden,
        "activation": choose(rng, "identity", "logistic", "tanh", "relu"),
        "alpha": choose(rng, 0.0, 1e-4, 0.1, 3.0),
        "batch_size": choose(rng, "auto", 1, 7, 16),
        "learning_rate": choose(rng, "constant", "invscaling", "adaptive"),
        "learning_rate_init": choose(rng, 1e-3, 0.01),
        "power_t": choose(rng, 0.5, 0.2),
        "max_iter": choose(rng, 5, 20),
        "shuffle": bool(rng.integers(4)),
        "tol": choose(rng, 1e-4, 0.05),
        "momentum": choose(rng, 0.0, 0.5, 0.9),
        "nesterovs_momentum": bool(rng.integers(2)),
        "early_stopping": solver != "lbfgs" and not rng.integers(4),
        "beta_1": choose(rng, 0.9, 0.5),
        "epsilon": choose(rng, 1e-8, 1e-3),
        "n_iter_no_change": choose(rng, 2, 10),
        "warm_start": not rng.integers(4),
        "random_state": int(rng.integers(1000)),
    }
    if task == "counts" and TAKES_WEIGHTS:
        setting["loss"] = "poisson"
    return setting


def draw_fits(rng, model, X, y):
    """Return how an estimator is fitted: a list of methods and arguments."""
    weights = {}
    if TAKES_WEIGHTS and not rng.integers(3):
        weights = {"sample_weight": rng.uniform(0.1, 3, len(y))}
    if model.solver == "lbfgs" or model.early_stopping or rng.integers(3):
        return [("fit", (X, y), weights)] * (2 if model.warm_start else 1)
    first = {"classes": np.unique(y)} if "Classifier" in type(model).__name__ else {}
    if np.ndim(y) == 2 and first:
        first = {"classes": np.arange(y.shape[1])}
    return [("partial_fit", (X, y), {**weights, **(first if i == 0 else {})}) for i in range(3)]


def fitted(module, name, setting, fits):
    model = getattr(module, name)(**setting)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method, args, kwargs in fits(model):
            try:
                getattr(model, method)(*args, **kwargs)
            except ValueError as error:
                assert "non-finite" in str(error)
                return None
    return model


def assert_same(ours, theirs, X, tolerance):
    """Compare all that scikit-learn's fit leaves behind."""
    for name in ("n_iter_", "t_", "n_layers_", "out_activation_", "n_outputs_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    scale = max(np.abs(W).max() for W in theirs.coefs_ + theirs.intercepts_)
    for name in ("coefs_", "intercepts_"):
        for actual, expected in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert actual.dtype == expected.dtype
            assert np.abs(actual - expected).max() <= tolerance * scale, name
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "loss_"):
        actual, expected = getattr(ours, name, None), getattr(theirs, name, None)
        assert (actual is None) == (expected is None), name
        if expected is not None:
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=1e-12, err_msg=name)
    how = "predict_proba" if hasattr(theirs, "predict_proba") else "predict"
    actual, expected = getattr(ours, how)(X), getattr(theirs, how)(X)
    assert actual.dtype == expected.dtype
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    least = 2 * np.finfo(actual.dtype).tiny  # where scikit-learn's exp is 0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=10 * tolerance * scale + least)


#: Poisson's loss where exp(z) is 0; squares of float32 that are none.
EXTREMES = (1787, 2477)


@pytest.mark.parametrize("seed", sorted({*range(N_SETTINGS), *EXTREMES}))
def test_a_setting_has_the_same_numbers(seed):
    rng = np.random.default_rng([seed, 9])
    task = TASKS[seed % len(TASKS)]
    name = "MLPClassifier" if task in TASKS[:3] else "MLPRegressor"
    dtype = choose(rng, "float64", "float64", "float32")
    X, y = draw_data(rng, task)
    X = X.astype(dtype)
    if not rng.integers(5):
        X = csr_array(np.where(rng.random(X.shape) < 0.5, X, 0))
    setting = draw_setting(rng, task)
    if task == "binary" and setting["early_stopping"] and not SCORES_TEXT:
        y = (y == "yes").astype(int)
    if setting["solver"] == "lbfgs" and dtype == "float32":
        setting["max_iter"] = 5  # its line searches multiply rounding errors
    fit_seed = int(rng.integers(1 << 30))

    def fits(model):
        return draw_fits(np.random.default_rng(fit_seed), model, X, y)

    theirs = fitted(neural_network, name, setting, fits)
    heard = []
    fastgd.sklearn.log.listeners.append(heard.append)
    try:
        ours = fitted(fastgd.sklearn, name, setting, fits)
    finally:
        fastgd.sklearn.log.listeners.clear()
    assert (ours is None) == (theirs is None), "one diverges"
    if ours is None:
        return
    assert all(fit.backend and fit.reason in ("", DIVERGED) for fit in heard), heard
    try:
        assert_same(ours, theirs, X, TOLERANCE[dtype])
    except AssertionError:
        if not shaky(theirs, name, setting, fit_seed, X, y, TOLERANCE[dtype]):
            raise


def shaky(theirs, name, setting, fit_seed, X, y, tolerance):
    """Return whether scikit-learn itself has other numbers where X differs by rounding."""
    for seed in range(5):
        noise = np.random.default_rng(seed).uniform(-2, 2, X.shape) * np.finfo(X.dtype).eps
        near = (X * (1 + noise)).astype(X.dtype)

        def fits(model, near=near):
            return draw_fits(np.random.default_rng(fit_seed), model, near, y)

        other = fitted(neural_network, name, setting, fits)
        try:
            assert_same(other, theirs, X, tolerance / 3)
        except (AssertionError, AttributeError):
            return True
    return False
