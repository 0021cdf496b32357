"""The benchmark's rivals do the same work, on the data and from the start they should."""

from __future__ import annotations

import gzip
import os
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from fastgd.benchmarks import environment, nielsen, timing, workloads
from fastgd.benchmarks.fastgd_backends import FASTGD
from fastgd.benchmarks.rivals import RIVALS, Rival
from fastgd.benchmarks.trainers import SLOPES, Trainer, sigmoid, softmax
from fastgd.benchmarks.workloads import WORKLOADS, find_workload, initial_parameters, orders
from fastgd.errors import MissingExtraError

N_ROWS = 500
N_STEPS = 5


#: One of each kind: the others are the same on other data, or take longer.
TRAINED = {
    name: WORKLOADS[name]
    for name in ("nielsen", "threeblue", "dense-100", "narrow", "hundred", "table", "table-adam",
                 "hundred-adam")
}  # fmt: skip
PREDICTED = [name for name, w in WORKLOADS.items() if w.task == "predict"]


def few_rows(workload):
    """Return a workload's data; images are synthetic ones."""
    if workload.source != "mnist":
        return workloads.load_data(workload)[:2]
    X, classes = workloads.synthetic_images(workload.n_rows, seed=3)
    return X, classes if workload.loss == "cross_entropy" else workloads.one_hot(classes, 10)


@pytest.fixture(scope="module")
def data():
    """Every kind of workload cut to a few rows, with its start and order."""
    cases = {}
    for name, workload in TRAINED.items():
        small = replace(workload, n_rows=N_ROWS, batch_size=min(32, workload.batch_size))
        X, y = few_rows(small)
        order = orders(small, epochs=1, seed=2)[0][: N_STEPS * small.batch_size]
        cases[name] = small, X, y, initial_parameters(small, seed=1), order
    return cases


def prepare(name, workload, X, y, start):
    rival = RIVALS[name]
    for module in [*rival.module.split(), dict(rival.optimizers).get(workload.optimizer)]:
        if module:
            pytest.importorskip(module, reason=rival.available() or rival.lacks(workload))
    return rival.prepare(workload, X, y, start)


def largest_difference(these, those):
    return max(
        float(np.abs(a - b).max())
        for pair, other in zip(these, those, strict=True)
        for a, b in zip(pair, other, strict=True)
    )


def outputs(workload, parameters, X):
    """Return a network's outputs, in float64."""
    a = X.astype(np.float64)
    for layer, (W, b) in enumerate(parameters):
        z = a @ W + b
        if layer == len(parameters) - 1:
            return {"sigmoid": sigmoid, "softmax": softmax}.get(workload.output, lambda z: z)(z)
        a = sigmoid(z) if workload.activation == "sigmoid" else np.maximum(z, 0)


def cost(workload, parameters, X, y):
    """Return the workload's own cost over all rows."""
    out = outputs(workload, parameters, X)
    if workload.loss == "cross_entropy":
        return -np.log(out[np.arange(len(y)), y]).mean()
    return ((out - y) ** 2).sum(axis=1).mean() / 2


def log_loss(workload, parameters, X, y):
    """Return scikit-learn's loss for sigmoid outputs."""
    out = outputs(workload, parameters, X).clip(1e-12, 1 - 1e-12)
    return -(y * np.log(out) + (1 - y) * np.log(1 - out)).sum(axis=1).mean()


@pytest.mark.parametrize("name", [n for n, w in TRAINED.items() if w.optimizer == "sgd"])
def test_numpy_takes_the_steps_the_cost_says(name, data):
    """One step against central differences of the cost, along it."""
    workload, X, y, start, order = data[name]
    rows = order[: workload.batch_size]
    after = prepare("numpy", workload, X, y, start).run(rows)
    rate = workload.learning_rate
    gradient = [
        ((W - V).astype(np.float64) / rate, (b - c).astype(np.float64) / rate)
        for (W, b), (V, c) in zip(start, after, strict=True)
    ]
    along = sum((g**2).sum() for pair in gradient for g in pair)
    eps = 1e-4
    ends = [
        [(W + step * gW, b + step * gb) for (W, b), (gW, gb) in zip(start, gradient, strict=True)]
        for step in (eps, -eps)
    ]
    up, down = (cost(workload, end, X[rows], y[rows]) for end in ends)
    assert (up - down) / (2 * eps) == pytest.approx(along, rel=1e-3)


SAME_WORK = [
    (rival.name, workload.name)
    for rival in RIVALS.values()
    for workload in TRAINED.values()
    if rival.name != "numpy" and rival.takes(workload) and rival.same_loss(workload)
    if not rival.sparse or workload.source != "normal"
    if (rival.package, workload.optimizer) != ("scikit-learn", "adam")
]


@pytest.mark.parametrize(("rival", "name"), SAME_WORK)
def test_rivals_reach_the_same_parameters(rival, name, data):
    workload, X, y, start, order = data[name]
    expected = prepare("numpy", workload, X, y, start).run(order)
    trainer = prepare(rival, workload, X, y, start)
    trainer.warm_up(order)
    reached = trainer.run(order)
    assert [(W.shape, b.shape) for W, b in reached] == [(W.shape, b.shape) for W, b in start]
    assert largest_difference(reached, expected) < 1e-4
    assert largest_difference(reached, start) > 4e-3  # they did move


@pytest.mark.parametrize("rival", ["sklearn", "sklearn-csr"])
def test_sklearns_adam_differs_by_where_epsilon_is_added(rival, data):
    """Which shows in weights whose gradients are tiny: the network is the same."""
    workload, X, y, start, order = data["hundred-adam"]
    ends = [prepare(name, workload, X, y, start).run(order) for name in (rival, "numpy")]
    costs = [cost(workload, end, X, y) for end in (start, *ends)]
    assert costs[1] == pytest.approx(costs[2], rel=1e-4) and costs[1] < 0.9 * costs[0]


def test_sklearn_takes_the_same_steps_on_a_sparse_matrix(data):
    workload, X, y, start, order = data["nielsen"]
    dense, sparse = (
        prepare(n, workload, X, y, start).run(order) for n in ("sklearn", "sklearn-csr")
    )
    assert largest_difference(dense, sparse) < 1e-5
    assert largest_difference(dense, start) > 0.1


@pytest.mark.parametrize("rival", ["scipy-csr", "torch", "jax"])
def test_rivals_do_so_in_float64(rival, data):
    workload, X, y, *_, order = data["hundred-adam"]
    workload = replace(workload, dtype="float64")
    start, X = initial_parameters(workload, seed=1), X.astype(np.float64)
    expected = prepare("numpy", workload, X, y, start).run(order)
    reached = prepare(rival, workload, X, y, start).run(order)
    assert {W.dtype for W, _ in reached} == {np.dtype(np.float64)}
    assert largest_difference(reached, expected) < 1e-9


@pytest.mark.parametrize("rival", [n for n, rival in RIVALS.items() if rival.predictor])
@pytest.mark.parametrize("name", PREDICTED)
@pytest.mark.slow
def test_rivals_predict_the_same(rival, name):
    workload = WORKLOADS[name]
    workload = replace(
        workload, **dict.fromkeys(("n_rows", "batch_size"), min(50, workload.n_rows))
    )
    X, y = few_rows(workload)
    start, rows = initial_parameters(workload, seed=1), np.arange(2 * workload.n_rows)
    expected = outputs(workload, start, X)
    predictor = prepare(rival, workload, X, y, start)
    predictor.warm_up()
    np.testing.assert_allclose(predictor.run(rows), expected, rtol=1e-5, atol=1e-6)


def test_each_rival_takes_what_it_can_do():
    nielsen, dense, adam = (WORKLOADS[n] for n in ("nielsen", "dense-nielsen", "hundred-adam"))
    assert [n for n in RIVALS if RIVALS[n].takes(nielsen, 0.8)] == [*RIVALS][:-1]
    assert not any(RIVALS[n].takes(dense, 0.0) for n in ("scipy-csr", "sklearn-csr"))
    assert not RIVALS["nielsen"].takes(adam)
    assert not RIVALS["nielsen"].takes(WORKLOADS["wide-2"])
    assert not RIVALS["numpy"].sparse and RIVALS["onnxruntime"].takes(WORKLOADS["row"])


def test_what_an_optimizer_needs_is_named_in_one_line(data):
    rival = Rival("mine", Trainer, optimizers=(("adam", "no_such_module_here"),))
    reason = rival.lacks(data["table-adam"][0])
    assert (
        reason == "no_such_module_here is not installed: pip install no_such_module_here "
        "(or fastgd[bench])"
    )
    with pytest.raises(MissingExtraError, match="'mine': no_such_module_here is not"):
        rival.prepare(*data["table-adam"][:4])
    with pytest.raises(ValueError, match="workload must be one onnxruntime does; got 'table'"):
        replace(RIVALS["onnxruntime"], module="", package="").prepare(*data["table"][:4])


@pytest.mark.slow
@pytest.mark.parametrize("rival", [n for n, r in RIVALS.items() if n != "numpy" and r.trainer])
def test_an_order_may_be_longer_than_the_data(rival, data):
    workload, X, y, start, _ = data["table"]
    order = orders(workload, epochs=2, seed=6).ravel()
    assert len(order) // workload.batch_size > 2 * (len(X) // workload.batch_size)  # they straddle
    expected = prepare("numpy", workload, X, y, start).run(order)
    assert largest_difference(prepare(rival, workload, X, y, start).run(order), expected) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nielsen", "threeblue"])
def test_sklearn_lowers_its_own_loss_where_it_has_no_other(name, data):
    workload, X, y, start, _ = data[name]
    workload = replace(workload, learning_rate=0.3)
    trainer = prepare("sklearn", workload, X, y, start)
    reached = trainer.run(np.tile(np.arange(len(X)), 3))
    assert trainer.model.out_activation_ == "logistic"
    assert log_loss(workload, reached, X, y) < 0.8 * log_loss(workload, start, X, y)


@pytest.mark.parametrize("rival", [name for name, rival in RIVALS.items() if rival.trainer])
def test_every_run_starts_afresh_and_leaves_the_start_alone(rival, data):
    workload, X, y, start, order = data["table"]
    kept = [(W.copy(), b.copy()) for W, b in start]
    trainer = prepare(rival, workload, X, y, start)
    first = trainer.run(order)
    copies = [(W.copy(), b.copy()) for W, b in first]
    again = trainer.run(order)
    assert largest_difference(first, again) == 0
    assert largest_difference(first, copies) == 0  # a result is not overwritten by the next run
    assert largest_difference(start, kept) == 0


def test_what_does_not_fill_a_batch_is_left_out(data):
    workload, X, y, start, order = data["table"]
    trainer = prepare("numpy", workload, X, y, start)
    whole = trainer.run(order[: 2 * workload.batch_size])
    more = trainer.run(order[: 2 * workload.batch_size + 7])
    assert largest_difference(whole, more) == 0


def test_nielsens_backprop_is_the_sum_over_examples(data):
    """A mini-batch of copies of one example is that example."""
    workload, X, y, start, _ = data["nielsen"]
    example = (X[0][:, None], y[0][:, None])

    def step(mini_batch):
        net = nielsen.Network(
            [b[:, None] for _, b in start], [W.T for W, _ in start], "sigmoid", "sigmoid"
        )
        net.update_mini_batch(mini_batch, eta=workload.learning_rate)
        return list(zip(net.weights, net.biases, strict=True))

    assert largest_difference(step([example]), step([example] * 4)) < 1e-6


def test_a_missing_rival_is_named_in_one_line(data):
    rival = Rival("gone", Trainer, module="no_such_module_here", package="no-such-package")
    reason = rival.available()
    assert reason is not None and "no-such-package" in reason and "\n" not in reason
    with pytest.raises(MissingExtraError, match=r"'gone'.*pip install no-such-package"):
        rival.prepare(*data["table"][:4])


def test_data_must_fill_a_mini_batch(data):
    workload, X, y, start, _ = data["table"]
    with pytest.raises(ValueError, match="at least one mini-batch, 32 rows; got 31"):
        RIVALS["numpy"].prepare(workload, X[:31], y[:31], start)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match=r"workload must be one of .* did you mean 'nielsen'"):
        find_workload("nielson")
    with pytest.raises(ValueError, match="did you mean 'torch'"):
        RIVALS.find("troch")
    assert find_workload("wide") is WORKLOADS["wide"]


def test_workloads_are_the_table_of_the_design():
    assert [name for name in WORKLOADS if "dense" not in name] == [
        "nielsen", "threeblue", "narrow", "hundred", "wide", "big", "table",
        "table-adam", "hundred-adam", "hundred-2", "wide-2", "big-2", "predict", "row",
    ]  # fmt: skip
    dense = ["dense-nielsen", "dense-100", "dense-hundred", "dense-wide", "dense-hundred-2"]
    assert [n for n in WORKLOADS if "dense" in n] == [*dense, "dense-predict", "dense-row"]
    assert {w.source for n, w in WORKLOADS.items() if "dense" in n} == {"normal"}
    assert WORKLOADS["big"].sizes == (256, 1024, 1024, 16) and WORKLOADS["big"].batch_size == 256
    assert WORKLOADS["narrow"].sizes == (784, 1, 10) and WORKLOADS["wide-2"].threads == 2
    threeblue = initial_parameters(WORKLOADS["threeblue"], seed=0)
    assert sum(W.size + b.size for W, b in threeblue) == 13_002
    assert {W.dtype for W, _ in threeblue} == {np.dtype(np.float32)}
    assert threeblue[0][0].std() == pytest.approx(1 / 28, rel=0.02)


def test_synthetic_images_have_mnists_density_and_classes_to_learn():
    X, classes = workloads.synthetic_images(2000, seed=0)
    assert X.shape == (2000, 784) and X.dtype == np.float32 and X.flags.c_contiguous
    assert X.min() == 0 and X.max() <= 1
    assert (X != 0).mean() == pytest.approx(0.19, abs=0.01)
    assert set(classes) == set(range(10))
    means = np.stack([X[:1000][classes[:1000] == c].mean(axis=0) for c in range(10)])
    nearest = ((X[1000:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == classes[1000:]).mean() > 0.9
    again, _ = workloads.synthetic_images(2000, seed=0)
    assert np.array_equal(X, again)


def test_orders_visit_every_row_once_an_epoch():
    workload = replace(WORKLOADS["table"], n_rows=50)
    epochs = orders(workload, epochs=3, seed=4)
    assert epochs.shape == (3, 50) and epochs.dtype == np.int64
    assert np.array_equal(np.sort(epochs, axis=1), np.tile(np.arange(50), (3, 1)))
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.array_equal(epochs, orders(workload, epochs=3, seed=4))


def test_the_table_has_a_column_of_targets():
    X, y, origin = workloads.load_data(WORKLOADS["table"])
    assert X.shape == (20_000, 8) and y.shape == (20_000, 1) and origin == "table"
    assert X.dtype == y.dtype == np.float32 and X.min() >= 0 and X.max() <= 1


def test_without_mnist_the_images_are_synthetic_and_say_so(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTGD_MNIST", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workloads, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    assert workloads.find_mnist() is None
    X, y, origin = workloads.load_data(replace(WORKLOADS["nielsen"], n_rows=20))
    assert origin == "synthetic" and X.shape == (20, 784)
    assert y.shape == (20, 10) and y.dtype == np.float32 and (y.sum(axis=1) == 1).all()
    _, classes, _ = workloads.load_data(replace(WORKLOADS["hundred"], n_rows=20))
    assert classes.shape == (20,) and np.array_equal(y.argmax(axis=1), classes)


def write_mnist(folder, n):
    folder.mkdir()
    images = np.random.default_rng(5).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = np.arange(n, dtype=np.uint8) % 10
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(struct.pack(">4I", 2051, n, 28, 28) + images.tobytes())
    with gzip.open(folder / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">2I", 2049, n) + labels.tobytes())
    return images, labels


def test_mnist_is_found_by_argument_variable_and_beside_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTGD_MNIST", raising=False)
    monkeypatch.setattr(workloads, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    here, work = tmp_path / "shared" / "data" / "mnist", tmp_path / "work"
    here.mkdir(parents=True)
    work.mkdir()
    monkeypatch.chdir(work)
    assert workloads.find_mnist() == here
    monkeypatch.setenv("FASTGD_MNIST", str(work))
    assert workloads.find_mnist() == work
    assert workloads.find_mnist(tmp_path) == tmp_path
    monkeypatch.setenv("FASTGD_MNIST", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=r"FASTGD_MNIST .*gone"):
        workloads.load_data(WORKLOADS["nielsen"])


def test_mnist_is_scaled_to_one_and_cut_to_the_first_rows(tmp_path):
    folder = tmp_path / "mnist"
    images, labels = write_mnist(folder, 40)
    hundred = WORKLOADS["hundred"]
    X, y, origin = workloads.load_data(replace(hundred, n_rows=30), mnist=folder)
    assert origin == "mnist" and X.dtype == np.float32 and X.flags.c_contiguous
    assert np.allclose(X, images[:30].reshape(30, 784) / 255, atol=1e-7)
    assert y.dtype == np.int64 and np.array_equal(y, labels[:30])
    with pytest.raises(ValueError, match=r"'hundred' trains on 50,000 images; .* holds 40"):
        workloads.load_data(hundred, mnist=folder)


class Stub:
    """A contestant that writes down when it is called."""

    batch_size = 4
    threads = 1

    def __init__(self, name, log):
        self.name, self.log = name, log

    def warm_up(self, order=None):
        self.log.append(f"warm {self.name}")

    def run(self, order):
        self.log.append(self.name)


def test_contestants_are_warmed_up_and_take_turns():
    log: list[str] = []
    seconds = timing.time_steps({n: Stub(n, log) for n in "ab"}, np.arange(8), repeats=3)
    assert log == ["warm a", "warm b", *"ab" * 3]
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}
    assert min(seconds["a"]) > 0
    assert timing.summarise({"a": [4.0, 2.0, 3.0]}) == {"a": (2.0, 3.0)}


def test_time_is_per_step(monkeypatch):
    ticks = iter([0.0, 6.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    assert timing.time_steps({"a": Stub("a", [])}, np.arange(14), repeats=1) == {"a": [2.0]}


def test_timing_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"fill one mini-batch of 'a', 4 rows; got 3"):
        timing.time_steps({"a": Stub("a", [])}, np.arange(3), repeats=1)
    with pytest.raises(ValueError, match="repeats must be 1 or more; got 0"):
        timing.time_steps({"a": Stub("a", [])}, np.arange(4), repeats=0)


def test_threads_are_held_and_given_back():
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")

    def most():
        return max((pool["num_threads"] for pool in threadpoolctl.threadpool_info()), default=1)

    before = most()
    with timing.limit_threads(1) as held:
        assert held
        assert most() == 1
    assert most() == before


def test_threads_that_cannot_be_held_are_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with (
        pytest.warns(UserWarning, match="may use more than 3 threads"),
        timing.limit_threads(3) as held,
    ):
        assert not held


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin")
def test_pin_keeps_the_process_and_its_running_threads_on_the_last_cores():
    before = os.sched_getaffinity(0)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        last = max(before)
        assert timing.pin(1) == f"pinned to core {last}"
        assert os.sched_getaffinity(0) == {last}
        assert os.sched_getaffinity(thread.native_id) == {last}
        with pytest.raises(ValueError, match="n_cores must be from 1 to 1"):
            timing.pin(2)
    finally:
        done.set()
        thread.join()
        for task in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.sched_setaffinity(int(task), before)


def test_slopes_are_derivatives():
    z = np.linspace(-3, 3, 13) + 0.1
    a = sigmoid(z)
    assert np.allclose(SLOPES["sigmoid"](a), (sigmoid(z + 1e-5) - sigmoid(z - 1e-5)) / 2e-5)
    assert np.allclose(a, 1 / (1 + np.exp(-z)))


@pytest.mark.parametrize("threads", [1, 2])
def test_variables_that_hold_back_are_known(threads):
    environ = {"OPENBLAS_CORETYPE": "Haswell", "XLA_FLAGS": "", "OMP_NUM_THREADS": "1", "HOME": "/"}
    held = environment.holding(environ, threads)
    assert set(held) == {"OPENBLAS_CORETYPE"} | ({"OMP_NUM_THREADS"} if threads == 2 else set())
    about = {"numpy": {"kernels": "Haswell"}, "jax": {"kernels": "x"}, "gone": {"kernels": "y"}}
    after = {"numpy": {"kernels": "Zen"}, "jax": {"kernels": "x"}, "new": {"kernels": "z"}}
    assert environment.held_back(about, after) == {"numpy": ("Haswell", "Zen")}


@pytest.mark.parametrize("name", environment.ABOUT)
def test_what_a_contestant_runs_on_is_told(name, monkeypatch):
    contestant = {**FASTGD, **RIVALS}[name]
    if reason := contestant.available():
        pytest.skip(reason)
    told = environment.about([name], threads=1)[name]
    assert set(told) == {"name", "version", "products", "kernels", "threads"}
    assert told["threads"] == 1 and all(told.values())
    if name == "numpy":
        monkeypatch.setitem(sys.modules, "threadpoolctl", None)
        assert environment.numpy_blas()["kernels"] == "unknown without threadpoolctl"
