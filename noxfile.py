"""Run the tests on every Python that is present, and with every scikit-learn: ``nox``."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """README's test command."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("version", ["==1.6.*", "==1.7.*", ""], ids=["1.6", "1.7", "newest"])
def sklearn(session: nox.Session, version: str) -> None:
    """scikit-learn's place, with the oldest version that is supported and with newer ones."""
    session.install(".[test]", f"scikit-learn{version}")
    # Older versions use what a newer SciPy warns of.
    old = ["-W", "ignore::DeprecationWarning"] if version else []
    tests = sorted(str(path) for path in Path("tests").glob("test_sklearn_*.py"))
    session.run("pytest", *old, *(session.posargs or tests))
