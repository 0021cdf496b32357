"""Run the tests on every Python that is present: ``nox``."""

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """README's test command."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)
