"""Checkpoints: a run that was stopped and goes on ends in the same bytes as one that was not."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from stress_form import rounds

import fastgd
from fastgd import storage
from fastgd.backends import BACKENDS
from fastgd.checkpoint import KIND

scipy_sparse = pytest.importorskip("scipy.sparse")
OPTIMIZERS = {
    "sgd": fastgd.SGD(fastgd.Cosine(0.1), momentum=0.9, nesterov=True),
    "adam": fastgd.Adam(fastgd.ReduceOnPlateau(0.01, patience=0), clip_norm=0.5),
}
EPOCHS, BATCH = 4, 8


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def data(sparse=False):
    rng = np.random.default_rng(0)
    X = rng.random((50, 9)) * (rng.random((50, 9)) < 0.5)
    return (scipy_sparse.csr_matrix(X) if sparse else X), rng.integers(0, 3, 50)


class StopAt(Exception):
    """What a callback raises."""


class Stop:
    """Raises at a step, as anything may go wrong there."""

    every = 1

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, network, step, logs):
        if step == self.step:
            raise StopAt


def network(backend, seed=1, **settings):
    return fastgd.Network(
        [9, 6, 3], output="softmax", loss="cross_entropy", dropout=0.2, backend=backend,
        seed=seed, **settings,
    )  # fmt: skip


def run(net, optimizer="sgd", X=None, y=None, stop=None, epochs=EPOCHS, **kwargs):
    """Return what a run ends in: everything but the seconds."""
    given = data() if X is None else (X, y)
    keeps = fastgd.EarlyStopping("validation_cost", patience=3)
    settings = {
        "batch_size": BATCH, "validation_split": 0.2, "callbacks": [keeps, Stop(stop)],
        "optimizer": OPTIMIZERS[optimizer], "epochs": epochs, **kwargs,
    }  # fmt: skip
    history = net.fit(*given, **settings)
    measured = {name: values for name, values in history.items() if name != "seconds"}
    state = net.state
    left = (state.step, state.epoch, state.position, state.rng.bit_generator.state)
    return net.parameters.tobytes(), state.slots.tobytes(), measured, left, history.stop_reason


N_STEPS = EPOCHS * 5  # of 40 rows that are left


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stopped_at_every_batch(backend, optimizer, tmp_path):
    expected = run(network(backend), optimizer)
    for step in range(1, N_STEPS + 1):
        path = tmp_path / f"{step}.ckpt"
        with pytest.raises(StopAt):
            run(network(backend), optimizer, stop=step, checkpoint=path)
        assert run(network(backend), optimizer, checkpoint=path) == expected


def test_stopped_again_and_again(backend, tmp_path):
    """Each time a step further than it had come: the file goes on from where the last one was."""
    expected = run(network(backend))
    path = tmp_path / "run.ckpt"
    for step in range(3, N_STEPS, 3):
        with pytest.raises(StopAt):
            run(network(backend), stop=step, checkpoint=path)
    assert run(network(backend), checkpoint=path) == expected


@pytest.mark.parametrize("kind", ["sparse", "weighted", "scaled", "float64", "seedless"])
def test_kinds_of_run(backend, kind, tmp_path):
    X, y = data(sparse=kind == "sparse")
    kwargs = {}
    if kind == "weighted":
        kwargs = {"sample_weight": np.arange(50.0), "class_weight": "balanced"}
    if kind == "scaled":
        kwargs = {"standardize": True}
    settings = {"dtype": "float64"} if kind == "float64" else {}
    path = tmp_path / "run.ckpt"
    made = network(backend, **settings)
    if kind == "seedless":
        kwargs = {"validation_split": 0.0, "validation_data": data()}
        made = network(backend, seed=None)
        twin = made.copy()
    else:
        twin = network(backend, **settings)
    expected = run(twin, X=X, y=y, **kwargs)
    with pytest.raises(StopAt):
        run(made, X=X, y=y, stop=12, checkpoint=path, **kwargs)
    again = network(backend, seed=None if kind == "seedless" else 1, **settings)
    assert run(again, X=X, y=y, checkpoint=path, **kwargs) == expected


def test_chunks(backend, tmp_path):
    X, y = data()
    chunks = [(X[i : i + 20], y[i : i + 20]) for i in range(0, 50, 20)]

    def fit(stop=None, **kwargs):
        net = network(backend)
        net.fit(
            lambda: iter(chunks), epochs=3, batch_size=BATCH, optimizer="adam",
            callbacks=[Stop(stop)], **kwargs,
        )  # fmt: skip
        return net.parameters.tobytes()

    expected = fit()
    for step in range(1, 3 * 8 + 1):
        path = tmp_path / f"{step}.ckpt"
        with pytest.raises(StopAt):
            fit(stop=step, checkpoint=path)
        assert fit(checkpoint=path) == expected

    def broken():
        yield chunks[0]
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        network(backend).fit(broken, epochs=3, optimizer="adam", checkpoint=tmp_path / "it.ckpt")
    assert (tmp_path / "it.ckpt").exists()


class TestGoingOn:
    def test_a_finished_run_is_only_read(self, tmp_path):
        path = tmp_path / "run.ckpt"
        expected = run(network("numpy"), checkpoint=path)
        calls = []
        monitor = type("Monitor", (), {"on_epoch_end": lambda self, *args: calls.append(args)})()
        net = network("numpy")
        for _ in range(2):
            net = network("numpy")
            net.fit(*data(), epochs=EPOCHS, optimizer="sgd", callbacks=monitor,
                    checkpoint=tmp_path / "other.ckpt")  # fmt: skip
        assert len(calls) == EPOCHS
        assert run(network("numpy"), checkpoint=path) == expected

    def test_by_the_network_that_was_stopped(self, backend, tmp_path):
        """The same call again, as in a notebook: on a network that has been trained meanwhile."""
        path, expected = tmp_path / "run.ckpt", run(network(backend))
        net = network(backend)
        for step in (3, 7):
            with pytest.raises(StopAt):
                run(net, stop=step, checkpoint=path)
            net.partial_fit(*data(), optimizer="adam")
        with pytest.raises(StopAt):  # in another process, say
            run(network(backend), stop=9, checkpoint=path)
        assert run(net, checkpoint=path) == expected
        trained = network(backend)
        trained.partial_fit(*data(), optimizer="adam")
        with pytest.raises(ValueError, match="or has been trained since"):
            run(trained, checkpoint=path)

    def test_to_more_epochs(self, backend, tmp_path):
        path = tmp_path / "run.ckpt"
        expected = run(network(backend), "adam", epochs=6)
        run(network(backend), "adam", epochs=2, checkpoint=path)
        assert run(network(backend), "adam", epochs=6, checkpoint=path) == expected

    def test_after_a_callback_has_ended_it(self, tmp_path):
        def fit():
            net = network("numpy")
            stop = fastgd.EarlyStopping("cost", patience=1, tolerance=1.0)
            history = net.fit(*data(), epochs=50, optimizer="sgd", callbacks=stop,
                              checkpoint=tmp_path / "run.ckpt")  # fmt: skip
            return net.parameters.tobytes(), history.epochs, history.stop_reason

        first = fit()
        assert first[2] == "callback"
        assert fit() == first

    def test_a_changed_learning_rate_is_kept(self, tmp_path):
        class Halve:
            def on_epoch_end(self, network, epoch, logs):
                network.learning_rate = logs["learning_rate"] / 2

        def fit(stop=None, **kwargs):
            net = network("numpy")
            history = net.fit(*data(), epochs=4, batch_size=BATCH, optimizer=fastgd.SGD(0.5),
                              callbacks=[Halve(), Stop(stop)], **kwargs)  # fmt: skip
            return net.parameters.tobytes(), history.learning_rate

        expected = fit()
        with pytest.raises(StopAt):
            fit(stop=16, checkpoint=tmp_path / "run.ckpt")
        assert fit(checkpoint=tmp_path / "run.ckpt") == expected

    def test_csv_logs_and_budgets_go_on(self, tmp_path):
        log = tmp_path / "log.csv"

        def fit(stop=None):
            net = network("numpy")
            budget = fastgd.TimeBudget(100)
            net.fit(*data(), epochs=4, batch_size=BATCH, optimizer="sgd",
                    callbacks=[fastgd.CSVLog(log), budget, Stop(stop)],
                    checkpoint=tmp_path / "run.ckpt")  # fmt: skip
            return budget

        with pytest.raises(StopAt):
            fit(stop=16)
        log.write_text(log.read_text() + "9,9,9,9\n")  # of an epoch that will be made again
        time.sleep(0.02)
        budget = fit()
        assert budget.state_dict()["left"] < 100 - 0.01
        epochs = [line.split(",")[0] for line in log.read_text().splitlines()]
        assert epochs == ["epoch", "1", "2", "3", "4"]


class TestRefused:
    @pytest.fixture
    def path(self, tmp_path):
        with pytest.raises(StopAt):
            run(network("numpy"), stop=7, checkpoint=tmp_path / "run.ckpt")
        return tmp_path / "run.ckpt"

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"batch_size": 9}, "batch_size is 8 there and 9 here"),
            ({"optimizer": fastgd.SGD(0.2)}, "optimizer is .*SGD.* there and .*SGD"),
            ({"shuffle": False}, "shuffle is True there and False here"),
            ({"X": data()[0] + 1e-9, "y": data()[1]}, "the data are others"),
            ({"X": data()[0], "y": data()[1][::-1]}, "the data are others"),
            ({"sample_weight": np.arange(50)}, "the data are others"),
            ({"validation_split": 0.3}, "the data are others; the validation data are others"),
            ({"callbacks": []}, "what callbacks keep is EarlyStopping there and none here"),
            ({"metrics": ["f1"]}, "metrics is"),
        ],
        ids=str,
    )
    def test_another_run(self, path, changed, says):
        before, net = path.read_bytes(), network("numpy")
        start = net.parameters.copy()
        with pytest.raises(ValueError, match=f"checkpoint.* is of another run: .*{says}"):
            net.fit(**_settings(changed), checkpoint=path)
        assert path.read_bytes() == before
        np.testing.assert_array_equal(net.parameters, start)
        assert net.state.optimizer is None

    @pytest.mark.parametrize(
        ("made", "says"),
        [
            (
                {"seed": 2},
                "the network was made in another way, with another seed, or has been",
            ),
            ({"dtype": "float64"}, "dtype is float32 there and float64 here"),
            ({"activation": "relu"}, "activation is sigmoid there and relu here"),
        ],
    )
    def test_another_network(self, path, made, says):
        with pytest.raises(ValueError, match=says):
            run(network("numpy", **made), checkpoint=path)

    def test_what_is_no_checkpoint(self, tmp_path):
        model = tmp_path / "model.safetensors"
        network("numpy").save(model)
        with pytest.raises(fastgd.ModelFileError, match="checkpoint"):
            run(network("numpy"), checkpoint=model)
        with pytest.raises(IsADirectoryError, match="is a folder"):
            run(network("numpy"), checkpoint=tmp_path)
        with pytest.raises(FileNotFoundError):
            run(network("numpy"), checkpoint=tmp_path / "no" / "run.ckpt")
        with pytest.raises(ValueError, match="checkpoint_seconds must be"):
            run(network("numpy"), checkpoint=tmp_path / "run.ckpt", checkpoint_seconds=-1)
        with pytest.raises(fastgd.ModelFileError):
            fastgd.load(self._made(tmp_path))

    def test_what_is_no_file(self):
        with pytest.raises(fastgd.ModelFileError, match="is a device; name a file for the check"):
            run(network("numpy"), checkpoint=os.devnull)
        with pytest.raises(FileNotFoundError, match="the path is empty; name a file"):
            run(network("numpy"), checkpoint="")

    @pytest.mark.parametrize(
        "kept",
        [{"a": object()}, {"a": np.array([None])}, {"a": np.array(["x"])}, {(1, 2): 3}, 7],
        ids=["object", "objects", "texts", "pair", "number"],
    )
    def test_a_callback_that_cannot_be_kept(self, tmp_path, kept):
        class Mine:
            def on_epoch_end(self, network, epoch, logs):
                pass

            def state_dict(self):
                return kept

            def load_state_dict(self, kept):
                pass

        with pytest.raises(TypeError, match="checkpoint cannot keep the callback Mine: its state_"):
            network("numpy").fit(
                *data(), optimizer="sgd", callbacks=Mine(), checkpoint=tmp_path / "run.ckpt"
            )

    def _made(self, tmp_path):
        run(network("numpy"), checkpoint=tmp_path / "whole.ckpt")
        return tmp_path / "whole.ckpt"

    def test_a_split_that_would_be_another(self, tmp_path):
        with pytest.raises(ValueError, match="validation_split would hold out other examples"):
            run(network("numpy", seed=None), checkpoint=tmp_path / "run.ckpt")

    def test_lbfgs(self, tmp_path):
        with pytest.raises(ValueError, match="checkpoint goes with optimizers that step"):
            fastgd.Network([9, 3], seed=1).fit(
                *data(), optimizer="lbfgs", epochs=2, checkpoint=tmp_path / "run.ckpt"
            )

    def test_numbers_of_another_shape_or_none(self, path):
        said, arrays = storage.read(path, KIND, _as_said)
        wrong = [
            {"order": np.zeros(40, np.int64)},
            {"order": np.arange(41)},
            {"parameters": np.full_like(arrays["parameters"], np.nan)},
            {"slots": arrays["slots"][:, :3].copy()},
        ]
        for change in wrong:
            changed = {**arrays, **change}
            shapes = {name: [a.dtype.name, list(a.shape)] for name, a in changed.items()}
            rest = {k: v for k, v in said.items() if k not in ("kind", "format", "fastgd")}
            storage.write(path, KIND, {**rest, "arrays": shapes}, changed)
            with pytest.raises(fastgd.ModelFileError, match="damaged"):
                run(network("numpy"), checkpoint=path)


def _settings(changed):
    X, y = changed.get("X"), changed.get("y")
    given = data() if X is None else (X, y)
    keeps = fastgd.EarlyStopping("validation_cost", patience=3)
    return {
        "X": given[0], "y": given[1], "batch_size": BATCH, "validation_split": 0.2,
        "callbacks": [keeps, Stop(None)], "optimizer": OPTIMIZERS["sgd"], "epochs": EPOCHS,
        **{k: v for k, v in changed.items() if k not in ("X", "y")},
    }  # fmt: skip


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch):
    expected = run(network("numpy"))

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write", full)
    with pytest.warns(UserWarning, match="the checkpoint could not be written.*No space") as told:
        got = run(network("numpy"), checkpoint=tmp_path / "run.ckpt", checkpoint_seconds=0)
    assert got == expected
    assert len(told) == 1


def test_every_flipped_bit_and_every_truncation(tmp_path):
    """Is noticed; nothing has changed then, and the whole file still goes on."""
    path = tmp_path / "run.ckpt"

    def fit():
        net = fastgd.Network([2, 1], seed=1, backend="numpy")
        net.fit(np.eye(2), [0.0, 1.0], epochs=3, batch_size=1, optimizer="sgd", checkpoint=path)
        return net

    expected = fit().parameters.tobytes()
    whole = path.read_bytes()
    bits = range(0, 8 * len(whole), rounds(37, 1))
    for bit in bits:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert fit().parameters.tobytes() == expected  # between words of JSON
        except fastgd.ModelFileError as error:
            assert str(path) in str(error)
    for size in range(0, len(whole), rounds(11, 1)):
        path.write_bytes(whole[:size])
        with pytest.raises(fastgd.ModelFileError, match=r"run\.ckpt"):
            fit()
    path.write_bytes(whole)
    assert fit().parameters.tobytes() == expected


def test_what_is_said_is_not_believed(tmp_path):
    """A whole file, with its checksum, whose words are others: refused, or the same run."""
    path = tmp_path / "run.ckpt"
    with pytest.raises(StopAt):
        run(network("numpy"), stop=7, checkpoint=path)
    said, arrays = storage.read(path, KIND, _as_said)
    rest = {k: v for k, v in said.items() if k not in ("kind", "format", "fastgd")}
    integers = [("state", "step"), ("state", "epoch"), ("state", "position"), ("fit", "chunk"),
                ("fit", "visits"), ("fit", "steps"), ("state", "drawn_seed")]  # fmt: skip
    numbers = [("fit", "cost"), ("fit", "weight"), ("fit", "spent"),
               ("fit", "rate"), ("state", "learning_rate")]  # fmt: skip
    texts = [("generator", "state"), ("generator", "bit_generator")]
    wrong = ["x", [1], {"a": 1}, True]
    lies = [(place, lie) for place in integers + numbers + texts for lie in wrong]
    lies += [(place, lie) for place in integers for lie in (-1, 10**30, 1.5)]
    lies += [(place, None) for place in integers[:-1] + numbers[:-1] + texts]
    lies += [(place, -1.0) for place in numbers[1:]]
    lies += [(("state", "position"), len(arrays["order"]) + i) for i in (0, 1)]
    lies += [(("state", "sums"), lie) for lie in ("x", [1.0], None, [1.0, "x"], [0.0, 0.0, 0.0])]
    for (part, name), lie in lies:
        changed = {**rest, part: {**rest[part], name: lie}}
        storage.write(path, KIND, changed, arrays)
        net = network("numpy")
        before = (net.parameters.tobytes(), net.state.step)
        with pytest.raises(fastgd.ModelFileError, match="damaged"):
            run(net, checkpoint=path)
        assert (net.parameters.tobytes(), net.state.step) == before
    for missing in ("state", "fit", "generator", "callbacks", "run", "arrays"):
        storage.write(path, KIND, {k: v for k, v in rest.items() if k != missing}, arrays)
        with pytest.raises(fastgd.ModelFileError):
            run(network("numpy"), checkpoint=path)


def _as_said(said, names):
    return {
        name: storage.Tensor(dtype, tuple(shape)) for name, (dtype, shape) in said["arrays"].items()
    }


SCRIPT = """
import sys, numpy as np, fastgd
X = np.random.default_rng(0).random((4000, 50), dtype=np.float32)
y = np.arange(4000) % 7
net = fastgd.Network([50, 40, 7], output="softmax", loss="cross_entropy", seed=1)
history = net.fit(X, y, epochs=120, batch_size=16, optimizer="adam", checkpoint=sys.argv[1],
                  checkpoint_seconds=0.05, on_interrupt="raise")
print(net.parameters.tobytes().hex()[:64], sum(map(ord, net.parameters.tobytes().hex())),
      repr(history.cost[-1]), history.epochs)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
class TestProcesses:
    def start(self, path):
        script = path.with_name("script.py")
        script.write_text(textwrap.dedent(SCRIPT))
        command = [sys.executable, str(script), str(path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_killed_at_random_moments(self, tmp_path, rng_seed=0):
        expected, errors = self.start(tmp_path / "whole.ckpt").communicate()
        assert expected, errors
        rng, path = np.random.default_rng(rng_seed), tmp_path / "run.ckpt"
        codes = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 1}
        numbers = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
        for number in numbers * rounds(1, 50):
            if number == signal.SIGKILL and rng.random() < 0.2:
                path.unlink(missing_ok=True)  # a new run now and then: this one is soon at its end
            before = path.read_bytes() if path.exists() else b""
            process = self.start(path)
            while process.poll() is None and (not path.exists() or path.read_bytes() == before):
                time.sleep(0.02)
            time.sleep(rng.random() * 0.3)
            process.send_signal(number)
            said, errors = process.communicate()
            if said:  # it was done before
                assert said == expected
            elif number == signal.SIGINT:
                assert "KeyboardInterrupt" in errors
            else:
                assert process.returncode == codes[number], errors
        said, errors = self.start(path).communicate()
        assert said == expected, errors
        assert [p.name for p in tmp_path.iterdir() if ".tmp" in p.name] == []
