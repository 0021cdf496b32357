"""What scikit-learn's gallery shows of its networks, run under fastgd without a changed line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn.neural_network")

import fastgd

PACKAGE = Path(fastgd.__file__).resolve().parents[1]

#: The fits and scores of the gallery's scripts, on data that is installed, without the pictures.
#: Of the alphas the larger ones: with less to hold them, hundreds of steps of L-BFGS lead elsewhere
#: with every BLAS, and scikit-learn's own scores differ between processors.
SCRIPTS = {
    "plot_mlp_alpha": """
import numpy as np
from sklearn.datasets import make_circles, make_classification, make_moons
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

plane = dict(n_features=2, n_redundant=0, n_informative=2, n_clusters_per_class=1)
X, y = make_classification(random_state=0, **plane)
X += 2 * np.random.RandomState(2).uniform(size=X.shape)
for data in (
    make_moons(noise=0.3, random_state=0),
    make_circles(noise=0.2, factor=0.5, random_state=1),
    (X, y),
):
    X_train, X_test, y_train, y_test = train_test_split(*data, test_size=0.4, random_state=42)
    for alpha in np.logspace(0, 1, 3):
        model = make_pipeline(
            StandardScaler(),
            MLPClassifier([10, 10], solver="lbfgs", alpha=alpha, random_state=1, max_iter=2000),
        )
        print(f"alpha {alpha:.2f}: {model.fit(X_train, y_train).score(X_test, y_test):.3f}")
""",
    "plot_mlp_training_curves": """
from sklearn.datasets import load_digits, load_iris, make_circles, make_moons
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler

strategies = [
    {"solver": "sgd", "learning_rate": rate, "learning_rate_init": 0.2, **momentum}
    for rate in ("constant", "invscaling")
    for momentum in (
        {"momentum": 0},
        {"momentum": 0.9, "nesterovs_momentum": False},
        {"momentum": 0.9, "nesterovs_momentum": True},
    )
]
strategies.append({"solver": "adam", "learning_rate_init": 0.01})
for name, (X, y), max_iter in (
    ("iris", load_iris(return_X_y=True), 100),
    ("digits", load_digits(return_X_y=True), 15),
    ("circles", make_circles(noise=0.2, factor=0.5, random_state=1), 100),
    ("moons", make_moons(noise=0.3, random_state=0), 100),
):
    X = MinMaxScaler().fit_transform(X)
    for strategy in strategies:
        model = MLPClassifier(random_state=0, max_iter=max_iter, **strategy).fit(X, y)
        print(f"{name}: score {model.score(X, y):.3f}, loss {model.loss_:.6f}")
""",
    "plot_mnist_filters": """
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, test_size=0.7)
mlp = MLPClassifier(
    hidden_layer_sizes=(40,), max_iter=8, alpha=1e-4, solver="sgd", verbose=10, random_state=1,
    learning_rate_init=0.2,
)
mlp.fit(X_train, y_train)
print(f"Training set score: {mlp.score(X_train, y_train):.3f}")
print(f"Test set score: {mlp.score(X_test, y_test):.3f}")
print(f"Weights of the first layer: {mlp.coefs_[0].min():.3f} to {mlp.coefs_[0].max():.3f}")
""",
    "plot_partial_dependence": """
from sklearn.datasets import load_diabetes
from sklearn.inspection import partial_dependence
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

X, y = load_diabetes(return_X_y=True, as_frame=True)
y -= y.mean()
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
early = MLPRegressor(
    hidden_layer_sizes=(30, 15), learning_rate_init=0.01, early_stopping=True, random_state=0
)
wide = MLPRegressor(hidden_layer_sizes=(100, 100), tol=1e-2, max_iter=500, random_state=0)
for scaler, network in (
    (QuantileTransformer(n_quantiles=200), early),
    (StandardScaler(), wide),
):
    model = make_pipeline(scaler, network).fit(X_train, y_train)
    print(f"Test R2 score: {model.score(X_test, y_test):.3f}")
    for features in (["bmi"], ["s5"], ["bmi", "s5"]):
        shown = partial_dependence(model, X_train, features, kind="average", grid_resolution=5)
        print(features, *(f"{value:.3f}" for value in shown["average"].ravel()))
""",
    "plot_classifier_comparison": """
from sklearn.datasets import make_circles, make_moons
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

for data in (
    make_moons(noise=0.3, random_state=0),
    make_circles(noise=0.2, factor=0.5, random_state=1),
):
    X_train, X_test, y_train, y_test = train_test_split(*data, test_size=0.4, random_state=42)
    model = make_pipeline(StandardScaler(), MLPClassifier(alpha=1, max_iter=1000, random_state=42))
    print(f"{model.fit(X_train, y_train).score(X_test, y_test):.3f}")
""",
}
RUN_ALL = """
import runpy, sys
for path in sys.argv[1:]:
    print(path)
    runpy.run_path(path, run_name="__main__")
"""


@pytest.mark.slow
def test_the_gallery_prints_the_same_scores(tmp_path):
    for name, text in SCRIPTS.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "all.py").write_text(RUN_ALL)
    printed = []
    for python in ([sys.executable, "-m", "fastgd.sklearn"], [sys.executable]):
        result = subprocess.run(
            [*python, "all.py", *(f"{name}.py" for name in SCRIPTS)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PACKAGE), "PYTHONWARNINGS": "ignore"}
            | {"FASTGD_VERBOSE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, result.stderr
        printed.append(result.stdout)
        if len(python) > 1:
            fits = [line for line in result.stderr.splitlines() if line.startswith("fastgd: ")]
            assert len(fits) == 9 + 28 + 1 + 2 + 2
            assert all(" on fastgd (" in line for line in fits)
    number = r"-?\d+\.\d+"
    ours, theirs = (re.sub(number, "#", text) for text in printed)
    assert ours == theirs
    ours, theirs = (np.array(re.findall(number, text), dtype=float) for text in printed)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
