"""``fastgd bench``, fastgd's own contestants, and the parts of the command line."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd.backends import BACKENDS, why_not
from fastgd.benchmarks import apart, contest, environment, rivals, trainers, workloads
from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.cli import bench as command
from fastgd.cli import main, progress
from fastgd.cli.output import Output


def run(*args):
    """Run a command that succeeds; return what it printed."""
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.fixture(autouse=True)
def free(monkeypatch):
    """Leave out what a machine's environment holds back: it would be timed in other processes."""
    for name in environment.holding(os.environ, 2):
        monkeypatch.delenv(name)


class TestBench:
    ARGS = ("bench", "--workload", "table", "--seconds", "0.02", "--repeats", "2")

    def test_names_what_is_left_out_and_why(self, monkeypatch):
        def available(self):
            return None if self.name == "numpy" else f"{self.name} is not installed"

        monkeypatch.setattr(rivals.Rival, "available", available)
        out = run(*self.ARGS)
        assert "table: on a synthetic table" in out
        for name in ("scipy-csr", "nielsen", "sklearn", "torch", "jax", "onnxruntime"):
            assert f"{name} left out: {name} is not installed" in out
        rows = {line.split()[0]: line.split() for line in out.splitlines() if line.endswith("x")}
        assert len(rows.pop("takes")) == 2
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
        assert table["zeros"] == 0 and table["fastest_rival"] is table["ahead"] is None
        assert set(table["ms_before_first_step"]) == set(table["us_per_step"])
        assert all(ms >= 0 for ms in table["ms_before_first_step"].values())
        assert record["environment"] == {"without": {}, "held_back": {}}
        assert record["contestants"]["1"]["fastgd-numpy"]["version"].startswith("fastgd ")

    def test_fits_a_hundred_columns_and_has_dense_beside_sparse(self, monkeypatch):
        names = ("hundred", "dense-hundred", "row", "table-adam", "dense-row")
        for name in names:
            w = workloads.WORKLOADS[name]
            few = replace(w, n_rows=min(w.n_rows, 300), sizes=(w.sizes[0], 9, w.sizes[-1]))
            monkeypatch.setitem(workloads.WORKLOADS, name, few)
        monkeypatch.setattr(workloads, "find_mnist", lambda mnist: None)
        args = [arg for name in names for arg in ("--workload", name)]
        out = run("bench", *args, "--seconds", "0.01", "--repeats", "1", "--rival", "numpy",
                  "--rival", "nielsen", "--rival", "scipy-csr")  # fmt: skip
        lines = out.splitlines()
        assert max(len(line) for line in lines if line.endswith(("x", "%", "-"))) <= 100
        zeros = [line.split()[1:] for line in lines if line.startswith("zeros")]
        assert zeros[0][0] in ("80", "81") and zeros[0][2:] == ["0", "%", "0", "%"]
        (csr, _) = [line for line in lines if line.startswith("scipy-csr ")][:2]
        assert csr.split()[2].endswith("x") and csr.split()[3:] == ["-", "-"]
        assert "us per call" in out and "fit to step 1, ms" in out
        assert "fastgd-numpy   fastgd 0" in out

    def test_what_holds_a_rival_back_is_named_and_left_out(self, monkeypatch):
        """In a process of its own, of which this is what it tells."""
        asked = []

        def elsewhere(job, environ):
            asked.append(environ)
            kernels = environ.get("OPENBLAS_CORETYPE", "SkylakeX")
            about = {"name": "numpy", "version": "numpy 2", "products": "OpenBLAS"}
            about |= {"kernels": kernels, "threads": 1}
            return (
                {**message, "about": {"numpy": about}} if "about" in message else message
                for message in apart.play(job)
            )

        monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
        monkeypatch.setattr(apart, "play_apart", elsewhere)
        out = run(*self.ARGS, "--rival", "numpy")
        assert "timed without OPENBLAS_CORETYPE=Haswell, in a process of its own" in out
        assert "held to Haswell, can do SkylakeX: numpy" in out
        assert "OPENBLAS_CORETYPE" not in asked[0] and "OPENBLAS_CORETYPE" in asked[1]

    def test_says_where_other_work_took_the_core(self, monkeypatch):
        monkeypatch.setattr(contest.time, "process_time", lambda: 0.0)
        out = run(*self.ARGS, "--rival", "none")
        assert "other work took up to 100 % of the core meanwhile" in out

    @pytest.mark.slow
    def test_measures_in_a_process_of_its_own(self, monkeypatch):
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX2")
        record = json.loads(run(*self.ARGS, "--rival", "none", "--json"))
        assert record["environment"]["without"] == {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
        assert record["pinned"]["1"].endswith("in a process of its own")
        assert record["workloads"]["table"]["us_per_step"]["fastgd-numpy"] > 0

    @pytest.mark.slow
    @pytest.mark.parametrize("pause", [0, 0.3], ids=["at once", "before it has its job"])
    def test_a_process_that_ends_early_is_told_in_a_line(self, monkeypatch, pause):
        def dump(job, file):
            time.sleep(pause)
            file.write(json.dumps(job))

        monkeypatch.setattr(apart.json, "dump", dump)
        monkeypatch.setenv("XLA_FLAGS", "x")
        monkeypatch.setattr(sys, "executable", "/bin/false" if os.name == "posix" else "where")
        out = run(*self.ARGS, "--rival", "none")
        assert "what was left of 1 thread left out: " in out

    def test_more_threads_than_cores(self, monkeypatch):
        monkeypatch.setattr(command, "cores", lambda: 1)
        out = run("bench", "--workload", "wide-2", "--rival", "none")
        assert "wide-2 left out: takes 2 cores; this process may use 1" in out
        result = CliRunner().invoke(main, ["bench", "--threads", "2"])
        assert result.exit_code == 2 and "--threads must be from 1 to 1" in result.output

    @pytest.mark.parametrize("kind", ["classes", "numbers"])
    def test_data_of_ones_own(self, tmp_path, kind):
        rng = np.random.default_rng(0)
        X = rng.random((60, 5)) * (rng.random((60, 5)) < 0.3)
        word = [
            ("no", "yes")[int(x > 0.3)] if kind == "classes" else f"{9 * x}" for x in X.sum(axis=1)
        ]
        rows = [",".join([*map(str, x), w]) for x, w in zip(X, word, strict=True)]
        (tmp_path / "own.csv").write_text("a,b,c,d,e,price\n" + "\n".join(rows) + "\n")
        args = ("--seconds", "0.01", "--repeats", "1", "--rival", "numpy", "--rival", "sklearn-csr")
        told = ("--data", tmp_path / "own.csv", "--target", "price")
        if kind == "classes":
            out = run("bench", *args, *told, "--workload", "30", "--workload", "row")
            about = "30 (5-30-2, batch 10, relu, 1,024 rows, the 60 again and again)"
            assert f"{about}, row (5-100-2, 1 at once): on own.csv" in " ".join(out.split())
        record = json.loads(run("bench", *args, *told, "--workload", "30", "--json"))
        own = record["workloads"]["30"]
        assert own["sizes"] == [5, 30, 2 if kind == "classes" else 1] and own["data"] == "own.csv"
        assert 0.6 < own["zeros"] < 0.8
        assert {"fastgd-numpy", "numpy"} <= set(own["us_per_step"])
        if "sklearn-csr" in own["us_per_step"]:
            assert own["own_loss"] == ["sklearn-csr"] * (kind == "classes")

    def test_data_that_is_not_there(self, tmp_path):
        result = CliRunner().invoke(main, ["bench", "--data", str(tmp_path / "gone.csv")])
        assert result.exit_code == 2 and "gone.csv: no such file" in result.output
        result = CliRunner().invoke(main, ["bench", "--target", "price"])
        assert result.exit_code == 2 and "--target is for --data" in result.output

    def test_a_broken_rival_does_not_take_the_others_along(self, monkeypatch):
        def broken(self):
            raise ImportError("libbroken.so: cannot open\nshared object file")

        monkeypatch.setattr(trainers.NumpyTrainer, "set_up", broken)
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
    @pytest.mark.parametrize(
        "name", [name for name, w in workloads.WORKLOADS.items() if w.threads == 1]
    )
    def test_fastgd_does_the_work_the_rivals_do(self, backend, name):
        if why_not(backend):
            pytest.skip(why_not(backend))
        workload = workloads.WORKLOADS[name]
        workload = replace(workload, n_rows=300, batch_size=min(workload.batch_size, 300))
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
        if workload.task == "predict":
            reached = [[(outputs,)] for outputs in reached]
        for ours, theirs in zip(*reached, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


class TestParts:
    def test_slow_kernels_are_announced(self, monkeypatch, capsys):
        monkeypatch.setattr(progress, "LOAD_SECONDS", 0.01)
        monkeypatch.setattr(fastgd.Network, "predict", lambda *_: time.sleep(0.3))
        progress.compile_kernels("float32", None, Output(as_json=True, quiet=False))
        assert "compiling kernels, once on this machine" in capsys.readouterr().err
