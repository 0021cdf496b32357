"""``fastgd bench``, fastgd's own contestants, and the parts of the command line."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.backends import BACKENDS, why_not
from fastgd.benchmarks import rivals, workloads
from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.cli import main, progress
from fastgd.cli.output import Output


def run(*args):
    """Run a command that succeeds; return what it printed."""
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


class TestBench:
    ARGS = ("bench", "--workload", "table", "--seconds", "0.02", "--repeats", "2")

    def test_names_what_is_left_out_and_why(self, monkeypatch):
        def available(self):
            return None if self.name == "numpy" else f"{self.name} is not installed"

        monkeypatch.setattr(rivals.Rival, "available", available)
        out = run(*self.ARGS)
        assert "table: on a synthetic table" in out
        for name in ("nielsen", "sklearn", "torch", "jax"):
            assert f"{name} left out: {name} is not installed" in out
        rows = {line.split()[0]: line.split() for line in out.splitlines() if line.endswith("x")}
        works = {f"fastgd-{name}" for name in BACKENDS if why_not(name) is None}
        assert set(rows) == {*works, "numpy"}
        assert all(float(time.replace(",", "")) > 0 for _, time, _ in rows.values())

    def test_json(self):
        before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        record = json.loads(run(*self.ARGS, "--rival", "none", "--json"))
        assert before is None or os.sched_getaffinity(0) == before
        table = record["workloads"]["table"]
        assert set(table["us_per_step"]) == {n for n in FASTGD if FASTGD[n].available() is None}
        assert table["data"] == "table" and min(table["ratio"].values()) == 1

    def test_a_broken_rival_does_not_take_the_others_along(self, monkeypatch):
        def broken(self):
            raise ImportError("libbroken.so: cannot open\nshared object file")

        monkeypatch.setattr(rivals.NumpyTrainer, "set_up", broken)
        out = run(*self.ARGS, "--rival", "numpy")
        assert "numpy left out: does not start: ImportError: libbroken.so: cannot open" in out
        assert "fastgd-numpy" in out

    def test_says_whether_images_are_synthetic(self, monkeypatch):
        def few(n_rows, seed):
            return np.ones((500, 784), np.float32), np.arange(500) % 10

        monkeypatch.setattr(workloads, "find_mnist", lambda mnist: None)
        monkeypatch.setattr(workloads, "synthetic_images", few)
        small = workloads.WORKLOADS["nielsen"].__dict__ | {"n_rows": 500}
        monkeypatch.setitem(workloads.WORKLOADS, "nielsen", workloads.Workload(**small))
        args = ("--workload", "nielsen", "--seconds", "0.01", "--rival", "numpy")
        assert "nielsen: on synthetic images" in run("bench", *args)

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("name", workloads.WORKLOADS)
    def test_fastgd_does_the_work_the_rivals_do(self, backend, name):
        if why_not(backend):
            pytest.skip(why_not(backend))
        workload = workloads.WORKLOADS[name]
        rng = np.random.default_rng(7)
        X = rng.random((300, workload.sizes[0]), np.float32)
        if workload.loss == "cross_entropy":
            y = rng.integers(0, workload.sizes[-1], 300)
        else:
            y = rng.random((300, workload.sizes[-1]), np.float32)
        start = workloads.initial_parameters(workload, 1)
        order = rng.permutation(300)
        reached = [
            contestant.prepare(workload, X, y, start).run(order)
            for contestant in (FASTGD[f"fastgd-{backend}"], rivals.RIVALS["numpy"])
        ]
        for ours, theirs in zip(*reached, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


class TestParts:
    def test_slow_kernels_are_announced(self, monkeypatch, capsys):
        monkeypatch.setattr(progress, "LOAD_SECONDS", 0.01)
        monkeypatch.setattr(fastgd.Network, "predict", lambda *_: time.sleep(0.3))
        progress.compile_kernels("float32", None, Output(as_json=True, quiet=False))
        assert "compiling kernels, once on this machine" in capsys.readouterr().err
