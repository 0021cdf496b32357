"""Many at once, and at any moment: predictions beside fits, threads, signals, ways to start."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conformance import RULE_TRIPLES, Case, loss_and_gradient
from stress_form import rounds as times

import fastgd
from fastgd.backends import BACKENDS, backend, reference

pytestmark = pytest.mark.slow
COMPILED = [name for name in BACKENDS if name != "numpy"]


@pytest.fixture(params=BACKENDS)
def name(request):
    return request.param


def test_threads_predicting_on_one_network_while_others_fit(name):
    """The same bytes each time, whoever else is at work."""
    calls = times(60, 2000)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)).astype(np.float32), rng.integers(0, 5, 300)
    net = fastgd.Network([20, 33, 5], output="softmax", loss="cross_entropy", backend=name, seed=1)
    pieces = [X[i : i + n] for n in (1, 3, 17, 300) for i in (0, 5)]
    expected = [net.predict(piece) for piece in pieces]
    wrong, go_on = [], threading.Event()

    def predict(seed):
        order = random.Random(seed)
        for _ in range(calls):
            i = order.randrange(len(pieces))
            if not np.array_equal(net.predict(pieces[i]), expected[i]):
                wrong.append(i)

    def fit():
        while not go_on.is_set():
            twin = net.copy()
            twin.fit(X, y, epochs=1, optimizer="adam")

    fitting = [threading.Thread(target=fit) for _ in range(2)]
    predicting = [threading.Thread(target=predict, args=(i,)) for i in range(32)]
    for thread in fitting + predicting:
        thread.start()
    for thread in predicting:
        thread.join()
    go_on.set()
    for thread in fitting:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", COMPILED)
def test_threads_and_cuts_leave_the_same_bytes(name):
    """A fit, however many threads share its steps and however they are cut into calls."""
    rng = np.random.default_rng(times(1, 2))
    for _ in range(times(6, 50)):
        sizes = rng.integers(1, 60, rng.integers(2, 5)).tolist()
        dtype, batch = str(rng.choice(["float32", "float64"])), int(rng.integers(1, 90))
        zeros = rng.choice([0.0, 0.9])
        X = rng.random((200, sizes[0])) * (rng.random((200, sizes[0])) >= zeros)
        Y = rng.random((200, sizes[-1]))
        optimizer = rng.choice(["sgd", "adam", "rmsprop"])
        expected = None
        for threads in (1, 2, 4, 8):
            for most in (1, 2, 5, 11, 1000):
                net = fastgd.Network(sizes, dtype=dtype, backend=name, threads=threads, seed=1)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(
                        "fastgd.engine.session.Pace.saw",
                        lambda pace, *_, most=most: setattr(pace, "steps", most),
                    )
                    history = net.fit(X, Y, epochs=2, batch_size=batch, optimizer=str(optimizer))
                got = net.parameters.tobytes(), history.cost, net.predict(X).tobytes()
                expected = expected or got
                assert got == expected, (sizes, dtype, batch, zeros, optimizer, threads, most)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


#: Rules that have a derivative everywhere, written for complex numbers.
ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "exp": np.exp,
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "silu": lambda z: z * _sigmoid(z),
    "gelu_tanh": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
}
LOSSES = {
    "quadratic": lambda a, y: ((a - y) ** 2).sum() / 2,
    "sse": lambda a, y: ((a - y) ** 2).sum(),
    "mse": lambda a, y: ((a - y) ** 2).mean(axis=1).sum(),
    "binary_cross_entropy": lambda a, y: -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(),
    "categorical_cross_entropy": lambda a, y: -(y * np.log(a)).sum(),
    "log_cosh": lambda a, y: np.log(np.cosh(a - y)).mean(axis=1).sum(),
}
SMOOTH = [
    (activation, output, loss)
    for activation, output, loss in RULE_TRIPLES
    if activation in ACTIVATIONS and output in ACTIVATIONS and loss in LOSSES
]


def complex_cost(case, parameters):
    """Return the cost of complex parameters, written down once more."""
    layout = case.architecture.layout
    a = case.X.astype(np.float64) * case.input_scale
    names = [case.activation] * (len(case.sizes) - 2) + [case.output]
    layers = zip(layout.weights(parameters), layout.biases(parameters), names, strict=True)
    for W, b, name in layers:
        a = ACTIVATIONS[name](a @ W + b)
    return LOSSES[case.loss](a, case.Y)


def test_gradients_of_random_networks():
    """The reference's by the complex step (Squire and Trapp 1998); every backend's against it."""
    rng = np.random.default_rng(times(3, 4))
    assert {loss for *_, loss in SMOOTH} == set(LOSSES)
    tried = 0
    for i in range(times(60, 500)):
        activation, output, loss = SMOOTH[(7 * i) % len(SMOOTH)]
        sizes = (*rng.integers(1, 12, rng.integers(1, 4)).tolist(), int(rng.integers(2, 6)))
        case = Case(
            activation=activation, output=output, loss=loss, sizes=sizes, dtype="float64",
            n=int(rng.integers(1, 20)), seed=int(rng.integers(1 << 30)),
        )  # fmt: skip
        cost, gradient = loss_and_gradient(reference, case)
        assert np.isfinite(cost), case
        step, exact = 1e-30, np.empty_like(gradient)
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(len(gradient)):
                moved = case.parameters.astype(complex)
                moved[k] += 1j * step
                exact[k] = complex_cost(case, moved).imag / step
        if not np.isfinite(exact).all():  # written down without care for large z
            continue
        tried += 1
        largest = np.abs(exact).max()
        assert cost == pytest.approx(complex_cost(case, case.parameters), rel=1e-10), case
        assert np.abs(gradient - exact).max() <= 1e-10 * max(largest, 1e-3), case
        for name in COMPILED:
            other, theirs = loss_and_gradient(backend(name), case)
            assert other == pytest.approx(cost, rel=1e-11), case
            assert np.abs(theirs - exact).max() <= 1e-10 * max(largest, 1e-3), case
    assert tried >= times(55, 450)


SIGNALLED = """
import os, sys, signal, threading, time, random
import numpy as np
import fastgd

number, seed, n, name = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
order = random.Random(seed)
rng = np.random.default_rng(0)
X, y = rng.random((2000, 30), dtype=np.float32), rng.integers(0, 4, 2000)
net = fastgd.Network([30, 40, 4], output="softmax", loss="cross_entropy", backend=name, threads=2,
                     seed=1)
net.fit(X, y, epochs=1, optimizer="adam")
net.predict(X)

class Ended(BaseException):
    pass

def end(number, frame):
    raise Ended

signal.signal(signal.SIGTERM, end)
if number == signal.SIGINT:
    signal.signal(number, signal.default_int_handler)
caught = 0
for _ in range(n):
    timer = threading.Timer(order.random() * 0.03, os.kill, (os.getpid(), number))
    try:
        try:
            timer.start()
            while True:
                if order.random() < 0.5:
                    net.fit(X, y, epochs=3, optimizer="adam", batch_size=8, on_interrupt="raise")
                else:
                    net.predict(X)
        finally:
            timer.join()
    except (KeyboardInterrupt, Ended):
        caught += 1
    assert np.isfinite(net.parameters).all()
    assert np.isfinite(net.predict(X)).all()
    net.partial_fit(X[:10], y[:10])
print("fine", caught)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_at_any_moment(name, number, tmp_path):
    """The network is usable afterwards, its parameters finite, and nobody waits for ever."""
    script = tmp_path / "script.py"
    script.write_text(SIGNALLED)
    n = times(30, 300)
    path = os.pathsep.join(map(str, (Path.cwd(), *filter(None, sys.path))))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(int(number)), "1", str(n), name],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        timeout=60 + n, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.stdout == f"fine {n}\n", done.stderr[-2000:]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_line_ended_at_any_moment(number, code, tmp_path):
    """Its model is kept, or there is none; no traceback; the shell's exit code."""
    order = random.Random(0)
    out = tmp_path / "model.safetensors"
    command = [
        sys.executable, "-m", "fastgd", "train", "digits", "--epochs", "3000", "--quiet",
        "--out", str(out),
    ]  # fmt: skip
    path = os.pathsep.join(map(str, (Path.cwd(), *filter(None, sys.path))))
    kept = 0
    for _ in range(times(3, 300)):
        out.unlink(missing_ok=True)
        process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        time.sleep(1.0 + order.random())
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        if out.exists():
            kept += 1
            assert np.isfinite(fastgd.load(out).parameters).all()
            assert process.returncode in (0, code, -number), errors  # -15: after all was done
        else:  # before the training began
            words = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
            told = (code, f"fastgd: {words}\n"), (-number, "")
            assert (process.returncode, errors) in told
    assert kept >= times(0, 100)
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
