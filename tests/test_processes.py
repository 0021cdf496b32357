"""Processes and threads: forks, pools in pools, many callers at once, and a clean end.

Each test is a script in a process of its own with a time limit, so that what would hang fails.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastgd.backends import BACKENDS, why_not

pytestmark = pytest.mark.slow
COMPILED = [name for name in BACKENDS if name != "numpy"]
TIME_LIMIT = 120  # seconds; each takes a few, most of them to import and to compile

#: What scripts share: `work` fits a network with threads and returns all its numbers.
HELPER = """
import numpy as np
import fastgd

rng = np.random.default_rng(0)
X = rng.standard_normal((600, 20)).astype(np.float32)
y = rng.integers(0, 5, 600)

def network(backend, seed=0, threads=2):
    return fastgd.Network([20, 33, 5], activation="tanh", output="softmax", loss="cross_entropy",
                          seed=seed, backend=backend, threads=threads)

def work(backend, seed=0, threads=2):
    net = network(backend, seed, threads)
    net.fit(X, y, epochs=3, batch_size=32, optimizer=fastgd.SGD(0.1, momentum=0.9))
    return net.parameters.tobytes() + net.predict(X).tobytes()
"""


@pytest.fixture(params=COMPILED)
def run(request, tmp_path):
    """A function that runs a script, given ``backend``, and expects it to end with "fine"."""
    if why_not(request.param):
        pytest.skip(f"{request.param}: {why_not(request.param)}")
    (tmp_path / "helper.py").write_text(HELPER)

    def run(body: str, **environment: str) -> None:
        head = "import helper\nfrom helper import *\nimport sys\nbackend = sys.argv[1]\n"
        script = tmp_path / "script.py"
        script.write_text(head + body)
        path = os.pathsep.join(map(str, (tmp_path, Path.cwd(), *filter(None, sys.path))))
        process = subprocess.Popen(
            [sys.executable, str(script), request.param],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its children end with it
        )
        try:
            out, err = process.communicate(timeout=TIME_LIMIT)
        except subprocess.TimeoutExpired:
            end(process)
            out, err = process.communicate()
            pytest.fail(f"not done in {TIME_LIMIT} s\n{out}\n{err}")
        assert process.returncode == 0, err
        assert out.split()[-1:] == ["fine"], out + err

    return run


def end(process: subprocess.Popen) -> None:
    """End a process and its children."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, 9)
    else:
        process.kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_fits(run):
    run("""
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads is what this is about
expected = work(backend)
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if work(backend) == expected == work(backend, threads=3) else 3)
    assert os.waitpid(pid, 0)[1] == 0
assert work(backend) == expected
print("fine")
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_other_threads_fit(run):
    run("""
import os, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
expected, done = work(backend), threading.Event()

def keep_working():
    while not done.is_set():
        assert work(backend) == expected

threads = [threading.Thread(target=keep_working) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if work(backend) == expected else 3)
    assert os.waitpid(pid, 0)[1] == 0
done.set()
for thread in threads:
    thread.join()
print("fine")
""")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(run, method):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    run(f"""
import multiprocessing, warnings
if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    expected = [work(backend, seed) for seed in range(4)]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        assert pool.starmap(work, [(backend, seed) for seed in range(4)]) == expected
    print("fine")
""")


def test_joblib(run):
    if importlib.util.find_spec("joblib") is None:
        pytest.skip("joblib is not installed")
    run("""
import joblib
if __name__ == "__main__":
    expected = [work(backend, seed) for seed in range(4)]
    for how in ("loky", "threading"):
        with joblib.parallel_config(how, n_jobs=2):
            parts = [joblib.delayed(work)(backend, seed) for seed in range(4)]
            assert joblib.Parallel()(parts) == expected, how
    print("fine")
""")


def test_many_threads_predict_with_one_network(run):
    run("""
from concurrent.futures import ThreadPoolExecutor
net = network(backend)
pieces = [X[i : i + 70] for i in range(200)]
expected = [net.predict(piece).tobytes() for piece in pieces]
gradient = net.gradient(X, y).tobytes()
with ThreadPoolExecutor(8) as pool:
    for _ in range(5):
        results = pool.map(lambda piece: net.predict(piece).tobytes(), pieces)
        others = pool.map(lambda _: net.gradient(X, y).tobytes(), range(20))
        assert list(results) == expected and set(others) == {gradient}
print("fine")
""")


def test_fits_in_a_thread_pool(run):
    run("""
from concurrent.futures import ThreadPoolExecutor
expected = [work(backend, seed, threads=1) for seed in range(8)]
with ThreadPoolExecutor(8) as pool:
    for threads in (1, 2, "auto"):
        results = pool.map(lambda seed: work(backend, seed, threads), list(range(8)) * 2)
        assert list(results) == expected * 2, threads
print("fine")
""")


def test_a_pool_in_a_pool(run):
    run("""
from concurrent.futures import ThreadPoolExecutor
expected = work(backend, threads=1)

def outer(_):
    with ThreadPoolExecutor(2) as inner:
        return set(inner.map(lambda threads: work(backend, threads=threads), (1, 2, 3)))

with ThreadPoolExecutor(3) as pool:
    assert set().union(*pool.map(outer, range(3))) == {expected}
print("fine")
""")


def test_more_threads_than_cores(run):
    run("""
import os
import signal
expected = work(backend, threads=1)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
assert work(backend, threads=8) == expected
print("fine")
""")


@pytest.mark.parametrize("last", ["", "sys.exit(0)", "del net", "import gc; gc.collect()"])
def test_a_process_ends_although_threads_wait(run, last):
    run(f"""
net = network(backend, threads=3)
net.fit(X, y, epochs=1, batch_size=64, optimizer="sgd")
print("fine", flush=True)
{last}
""")


def test_a_process_ends_while_a_daemon_fits(run):
    run("""
import threading, time
work(backend)
def forever():
    while True:
        work(backend)
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.2)
print("fine", flush=True)
""")


def test_the_number_of_threads_in_the_environment(run):
    run(
        """
from fastgd.engine.threads import available_threads
assert available_threads() == 1
assert work(backend, threads="auto") == work(backend, threads=2)
print("fine")
""",
        FASTGD_NUM_THREADS="1",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_another_thread_takes_memory(run):
    run("""
import os, signal, warnings
from fastgd.backends import plan
warnings.simplefilter("ignore", DeprecationWarning)
expected = work(backend)
with plan._pool._lock:
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        os._exit(0 if work(backend) == expected else 3)
assert os.waitpid(pid, 0)[1] == 0
print("fine")
""")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer here")
def test_interrupted_calls_leave_no_thread_waiting(run):
    run("""
import os, signal, time
net = network(backend)
expected = net.predict(X[:200])
def threads():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
before = threads()
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
for _ in range(200):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        while True:
            net.predict(X[:200])
    except KeyboardInterrupt:
        pass
while threads() > before:
    time.sleep(0.01)
assert np.array_equal(net.predict(X[:200]), expected)
print("fine")
""")
