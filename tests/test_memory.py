"""What a long-lived process keeps of its fits, predictions, errors and loads: nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stress_form import rounds

import fastgd
from fastgd.backends import BACKENDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

#: The long form: as many as are promised.
ROUNDS = rounds(400, 10_000)

ROUND = """
import gc, os, sys
import numpy as np, fastgd
from fastgd.errors import DivergenceError, ModelFileError

backend, folder, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(0)
X, y = rng.random((300, 12)), rng.integers(0, 3, 300)
path, bad = f"{folder}/net.safetensors", f"{folder}/bad.safetensors"
open(bad, "wb").write(bytes(100))
first = fastgd.Network([12, 20, 3], output="softmax", loss="cross_entropy", backend=backend, seed=1)

def fails(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError(f"{call} did not raise")

def one(i):
    threads = 1 + i % 2
    sizes = [12, 8 + i % 17, 3]  # plans of many shapes
    net = fastgd.Network(sizes, output="softmax", loss="cross_entropy", backend=backend,
                         threads=threads, seed=i)
    net.fit(X[:60], y[:60], epochs=1, optimizer=("sgd", "adam", "rmsprop")[i % 3])
    net.partial_fit(X[:4], y[:4])
    net.predict(X), net.predict(X[:1]), net.loss(X, y), net.gradient(X[:9], y[:9])
    fails(ValueError, net.predict, X[:, :3])
    fails(ValueError, net.predict, np.full((5, 12), np.nan))
    fails(ValueError, net.fit, X, y[:9])
    wild = fastgd.Network([12, 4, 1], activation="relu", output="identity", backend=backend, seed=1)
    fails(DivergenceError, wild.fit, X, y * 1.0, epochs=9, optimizer=fastgd.SGD(1e30))
    fails(ModelFileError, fastgd.load, bad)
    fails(FileNotFoundError, fastgd.load, bad + ".none")
    first.save(path)
    fastgd.load(path, backend=backend).predict(X[:2])

def now():
    gc.collect()
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

for i in range(max(100, rounds // 10)):
    one(i)
before = now()
for i in range(rounds):
    one(i)
after = now()
print(after[0] - before[0], after[1] - before[1], after[2] - before[2])
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_grows(backend, tmp_path):
    if fastgd.backends.why_not(backend):
        pytest.skip(f"no {backend} backend here")
    result = subprocess.run(
        [sys.executable, "-c", ROUND, backend, str(tmp_path), str(ROUNDS)],
        env={**os.environ, "PYTHONPATH": str(Path(fastgd.__file__).parents[1])},
        capture_output=True, text=True, timeout=3600,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    grown, threads, files = map(int, result.stdout.split())
    assert grown < 5 << 20
    assert (threads, files) == (0, 0)
