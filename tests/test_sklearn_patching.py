"""scikit-learn's classes patched in place, and scripts that run under it without a changed line."""

from __future__ import annotations

import copy
import inspect
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn.neural_network")
from sklearn import neural_network
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import estimator_checks as checks

import fastgd
import fastgd.sklearn
from fastgd.sklearn import log, patch_sklearn, patching, unpatch_sklearn
from fastgd.sklearn.__main__ import main
from fastgd.sklearn.log import Fit
from fastgd.sklearn.verbose import show

PACKAGE = Path(fastgd.__file__).resolve().parents[1]
X, Y = load_iris(return_X_y=True)
SETTINGS = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "max_iter": 3, "random_state": 0}
METHODS = {
    name: [inspect.getattr_static(cls, name) for cls in (MLPClassifier, MLPRegressor)]
    for name in ("fit", "partial_fit", "predict")
}
IMPORTED_BEFORE = {"mlp": MLPClassifier}


@pytest.fixture
def fits(monkeypatch):
    """The fits that estimators tell of; scikit-learn is whole again afterwards."""
    fits: list[Fit] = []
    monkeypatch.setattr(log, "listeners", [fits.append, show])
    monkeypatch.delenv("FASTGD_VERBOSE", raising=False)
    yield fits
    unpatch_sklearn()


@pytest.fixture
def fit(recwarn):
    """A function that fits an estimator for a few iterations, whatever it warns of."""
    return lambda estimator: estimator.fit(X, Y)


def names(fits) -> list[str]:
    assert not any(fit.backend is None or fit.reason for fit in fits)
    return [fit.estimator for fit in fits]


def test_names_tables_estimators_and_classes_of_before_are_reached(fits, fit):
    class Derived(MLPClassifier):
        def __init__(self, alpha=1.0):
            super().__init__(**SETTINGS, alpha=alpha)

        def fit(self, X, y):
            return super().fit(X, y)

    made, before = MLPClassifier(**SETTINGS), MLPClassifier.fit
    patch_sklearn()
    assert fit(made) is made and type(made) is neural_network.MLPClassifier
    assert fit(IMPORTED_BEFORE["mlp"](**SETTINGS)).n_iter_ == 3
    assert fit(MLPRegressor(**SETTINGS)).n_outputs_ == 1
    derived = Derived()
    assert fit(derived) is derived and isinstance(derived, MLPClassifier)
    assert names(fits) == ["MLPClassifier", "MLPClassifier", "MLPRegressor", "Derived"]
    unpatch_sklearn()
    fit(made)
    assert len(fits) == 4 and MLPClassifier.fit is before


def test_fastgds_own_class_is_not_trained_twice(fits, fit):
    patch_sklearn()
    fit(fastgd.sklearn.MLPClassifier(**SETTINGS, backend="numpy"))
    assert [(fit.estimator, fit.backend) for fit in fits] == [("MLPClassifier", "reference")]


def test_patching_twice_is_once_and_undone_leaves_nothing(fits):
    unpatch_sklearn()  # nothing to undo
    for _ in range(2):
        patch_sklearn()
    assert patching.is_patched()
    unpatch_sklearn()
    assert not patching.is_patched()
    for name, before in METHODS.items():
        now = [inspect.getattr_static(cls, name) for cls in (MLPClassifier, MLPRegressor)]
        assert all(a is b for a, b in zip(now, before, strict=True))
    assert "fit" not in vars(MLPClassifier)


def test_threads_that_patch_and_fit(fits, fit):
    errors = []

    def work():
        try:
            for _ in range(5):
                patch_sklearn()
                fit(MLPClassifier(**SETTINGS)).predict(X)
                unpatch_sklearn()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and not patching.is_patched()
    assert MLPClassifier.fit.__module__.startswith("sklearn.")


def test_what_one_sees_of_the_classes_stays(fits, fit):
    signature = inspect.signature(MLPClassifier.fit)
    doc, before = MLPClassifier.fit.__doc__, fit(MLPClassifier(**SETTINGS))
    patch_sklearn()
    model = fit(clone(before))
    assert isinstance(before, MLPClassifier) and isinstance(model, MLPClassifier)
    assert is_classifier(model) and not isinstance(model, MLPRegressor)
    assert inspect.signature(MLPClassifier.fit) == signature and MLPClassifier.fit.__doc__ == doc
    assert vars(model).keys() == vars(before).keys() and repr(model) == repr(before)
    assert model.get_params() == before.get_params()
    with pytest.raises(TypeError, match="backend"):
        MLPClassifier(backend="numpy")


def test_partial_fit_is_where_scikit_learn_has_it(fits):
    patch_sklearn()
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError, match="'MLPClassifier' has no attribute 'partial_fit'"):
        MLPClassifier(solver="lbfgs").partial_fit  # noqa: B018
    model = MLPClassifier([3])
    assert model.partial_fit(X, Y, classes=[0, 1, 2]) is model
    assert model.partial_fit(X, Y).t_ == 300 and names(fits) == ["MLPClassifier"] * 2


def test_predictions_are_fastgds(fits, fit, monkeypatch):
    model = fit(MLPClassifier(**SETTINGS))
    before = model.predict_proba(X)
    calls = []
    ours = fastgd.sklearn.MLPClassifier.predict_proba
    monkeypatch.setattr(
        fastgd.sklearn.MLPClassifier,
        "predict_proba",
        lambda self, X: calls.append(type(self)) or ours(self, X),
        raising=False,
    )
    patch_sklearn()
    np.testing.assert_allclose(model.predict_proba(X), before, rtol=1e-9)
    assert len(calls) == 1 and issubclass(calls[0], fastgd.sklearn.MLPClassifier)


def test_scikit_learns_messages_name_its_class(fits, fit):
    patch_sklearn()
    model = fit(MLPClassifier(**SETTINGS))
    with pytest.raises(ValueError, match="MLPClassifier is expecting 4 features"):
        model.predict(X[:, :3])
    with pytest.raises(ValueError, match="'activation' parameter of MLPClassifier"):
        MLPClassifier(activation="step").fit(X, Y)
    with pytest.raises(NotFittedError, match="This MLPRegressor instance is not fitted"):
        MLPRegressor().predict(X)


def test_models_pickle_as_scikit_learns(fits, fit):
    for solver in ("lbfgs", "adam", "sgd"):
        settings = {**SETTINGS, "solver": solver}
        before = fit(MLPClassifier(**settings))
        patch_sklearn()
        model = fit(MLPClassifier(**settings))
        assert b"fastgd" not in pickle.dumps(model)
        assert type(copy.deepcopy(model)) is MLPClassifier
        unpatch_sklearn()
        read = pickle.loads(pickle.dumps(model))
        assert type(read) is MLPClassifier and vars(read).keys() == vars(before).keys()
        for ours, theirs in zip(read.coefs_, before.coefs_, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_step_of_ones_own_is_left_to_scikit_learn(fits, fit, monkeypatch, capsys):
    class Inside(MLPClassifier):
        asked = 0

        def _loss_grad_lbfgs(self, *args, **kw):
            type(self).asked += 1
            return super()._loss_grad_lbfgs(*args, **kw)

    monkeypatch.setenv("FASTGD_VERBOSE", "1")
    before = fit(Inside(**SETTINGS))
    patch_sklearn()
    model = fit(Inside(**SETTINGS))
    np.testing.assert_array_equal(model.coefs_[0], before.coefs_[0])
    line = capsys.readouterr().err
    assert line.startswith("fastgd: Inside fell back to scikit-learn, ")
    assert line.endswith(" s: Inside has its own _loss_grad_lbfgs\n")


def test_fits_are_named(fits, fit, monkeypatch, capsys):
    patch_sklearn()
    for silent in ("", "0"):
        monkeypatch.setenv("FASTGD_VERBOSE", silent)
        fit(MLPClassifier(**SETTINGS))
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FASTGD_VERBOSE", "1")
    fit(MLPClassifier(**SETTINGS))
    log.tell(Fit("MLPRegressor", 0.5, "native", "numbers that are not finite"))
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"fastgd: MLPClassifier on fastgd \(\w+\), \d\.\d\d\d s", first)
    assert second.endswith("then on scikit-learn, 0.500 s: numbers that are not finite")


@pytest.mark.parametrize("pickler", ["loky", "multiprocessing"])
def test_workers_do_as_the_process_that_sends_to_them(fits, fit, pickler, monkeypatch):
    if pickler == "loky":
        from joblib.externals.loky.backend.reduction import dumps
    else:
        from multiprocessing.reduction import ForkingPickler

        dumps = ForkingPickler.dumps
    patch_sklearn()
    patched = [bytes(dumps(thing)) for thing in (fit(MLPClassifier(**SETTINGS)), MLPRegressor)]
    unpatch_sklearn()
    plain = bytes(dumps(MLPRegressor))
    assert pickle.loads(patched[1]) is MLPRegressor
    assert not patching.is_patched()  # what comes back from workers changes nothing here

    monkeypatch.setattr(patching, "parent_process", lambda: "another")
    assert type(pickle.loads(patched[0])) is MLPClassifier and patching.is_patched()
    assert pickle.loads(plain) is MLPRegressor and not patching.is_patched()
    assert pickle.loads(patched[1]) is MLPRegressor and patching.is_patched()
    assert pickle.loads(dumps(io.IOBase)) is io.IOBase  # any other class


def test_the_jupyter_extension(fits, monkeypatch, tmp_path):
    shells = pytest.importorskip("IPython.core.interactiveshell")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = pytest.importorskip("traitlets.config").Config(HistoryManager={"enabled": False})
    shell = shells.InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "fastgd.sklearn")
    assert patching.is_patched()
    shell.run_line_magic("unload_ext", "fastgd.sklearn")
    assert not patching.is_patched()


@pytest.mark.slow
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_scikit_learns_checks_pass(fits, cls, recwarn):
    patch_sklearn()
    checks.check_estimator(cls(max_iter=20))
    assert len(fits) > 20


# The command line


def run(*arguments, python=(), **environment):
    """Run Python in a process of its own; return its exit code and what it printed."""
    result = subprocess.run(
        [sys.executable, *python, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "FASTGD_VERBOSE": "", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return result.returncode, result.stdout, result.stderr


def both(*arguments, **environment):
    """Run something under fastgd and under python alone, in turn."""
    ours = run("-m", "fastgd.sklearn", *arguments, **environment)
    return ours, run(*arguments, **environment)


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A function that writes a script in another folder and returns its path from here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()

    def script(text: str, name: str = "here/script.py") -> str:
        (tmp_path / name).write_text(text)
        return name

    return script


@pytest.mark.slow
def test_a_script_sees_what_python_shows_it(script):
    script("name = __name__", "here/beside.py")
    text = (
        "import beside, sys, __main__\n"
        "print(sys.argv, sys.path[0], sys.path[1:3], __name__, __file__, beside.name)\n"
        "print(__main__.__file__, __main__.sys is sys, sys.flags.optimize)\n"
        "sys.exit('the end')"
    )
    ours, theirs = both(script(text), "-v", "--alpha=1", "a b")
    assert ours == theirs and ours[0] == 1 and ours[2] == "the end\n"


@pytest.mark.slow
def test_a_module_sees_what_python_shows_it(script):
    text = "import sys; print(sys.argv[1:], __name__, __spec__.name); sys.exit(7)"
    script(text, "here/__main__.py")
    ours, theirs = both("-m", "here", "-m", "x")
    assert ours == theirs and ours[0] == 7


@pytest.mark.slow
def test_a_folder_and_an_archive_see_what_python_shows_them(script, tmp_path):
    script("name = __name__", "here/beside.py")
    text = "import beside, sys; print(sys.argv, sys.path[:3], __name__, __file__, beside.name)"
    script(text, "here/__main__.py")
    shutil.make_archive(tmp_path / "archive", "zip", tmp_path / "here")
    (tmp_path / "empty").mkdir()
    for path, code in {"here": 0, "here/": 0, "archive.zip": 0, "empty": 1}.items():
        ours, theirs = both(path, "x")
        assert ours == theirs and ours[0] == code, path
        ours, theirs = both(path, "x", PYTHONSAFEPATH="1")
        assert ours == theirs and ours[0] == code, path


@pytest.mark.slow
def test_tracebacks_are_the_scripts_own(script):
    text = "def f():\n    return 1 / 0\n\ntry:\n    f()\nexcept ZeroDivisionError:\n    {}\n"
    for what in ("raise KeyError('a')", "import nothing_of_that_name + 1"):
        ours, theirs = both("./" + script(text.format(what)))
        assert ours == theirs and ours[0] == 1, what


@pytest.mark.slow
def test_what_is_not_there(script):
    ours, theirs = both("./nowhere.py")
    assert ours == theirs and ours[0] == 2
    ours, theirs = both("-m", "nowhere")
    assert ours == theirs and ours[0] == 1


def test_usage(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert capsys.readouterr().err.startswith("usage: ")
    main(["--help"])
    assert "-m module" in capsys.readouterr().out


FITS = """
import os, pickle, sys, warnings
os.environ["PYTHONWARNINGS"] = "ignore"  # the workers', too
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

X, y = load_iris(return_X_y=True)
model = MLPClassifier([5], solver="lbfgs", alpha=1.0, max_iter=5, random_state=0)
warnings.simplefilter("ignore")
search = GridSearchCV(model, {"alpha": [1.0, 2.0]}, cv=3, n_jobs=2).fit(X, y)
print(f"{search.best_score_:.3f}")
with open(sys.argv[1], "wb") as file:
    pickle.dump(search, file)
"""
UNPICKLED = """
import pickle, sys
sys.modules["fastgd"] = None  # importing it fails
with open(sys.argv[1], "rb") as file:
    search = pickle.load(file)
print(type(search.best_estimator_), f"{search.best_score_:.3f}")
"""


@pytest.mark.slow
def test_a_search_with_workers_and_a_model_that_needs_no_fastgd(script, tmp_path):
    file = script(FITS)
    code, out, err = run("-m", "fastgd.sklearn", "-v", file, tmp_path / "model.pickle")
    assert code == 0, err
    assert err.count("fastgd: MLPClassifier on fastgd (") == 2 * 3 + 1
    code, said, err = run("-c", UNPICKLED, tmp_path / "model.pickle")
    assert (code, err) == (0, "")
    kind = "<class 'sklearn.neural_network._multilayer_perceptron.MLPClassifier'>"
    assert said == f"{kind} {out}"
    assert run(file, tmp_path / "model.pickle") == (0, out, "")


@pytest.mark.slow
def test_scikit_learns_own_tests_pass(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    code, out, err = run(
        *["-m", "fastgd.sklearn", "-v", "-m", "pytest", "-q", "-s", "-p", "no:xdist"],
        *["-c", tmp_path / "pytest.ini", "--rootdir", tmp_path],
        *["--pyargs", "sklearn.neural_network.tests.test_mlp"],
        "sklearn.neural_network.tests.test_stochastic_optimizers",
    )
    assert code == 0, out
    assert err.count(" on fastgd (") > 100


def test_what_is_accepted_stays_scikit_learns(fits):
    """A loss that only fastgd has would be a model that scikit-learn cannot fit again."""
    patch_sklearn()
    with pytest.raises(ValueError, match="'loss' parameter") as ours:
        neural_network.MLPRegressor(loss="huber").fit([[0.0], [1.0]], [0.0, 1.0])
    assert "quantile" not in str(ours.value)
