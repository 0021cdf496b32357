"""Who trains a network: several threads, its own callbacks, a child of the process."""

import copy
import os
import signal
import threading

import numpy as np
import pytest

import fastgd
from fastgd.backends import BACKENDS
from fastgd.errors import DivergenceError


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def network(backend, sizes, **settings):
    return fastgd.Network(sizes, backend=backend, seed=1, **settings)


def data(n, n_in, n_out=2):
    rng = np.random.default_rng(0)
    return rng.random((n, n_in)).astype("float32"), rng.random((n, n_out)).astype("float32")


@pytest.mark.parametrize("step", [False, True])
def test_two_threads_at_once(step):
    """A call that comes while another is at work has memory of its own."""
    backend = fastgd.Network([1, 1]).backend
    net = network(backend, (400, 300, 2), threads=1)
    X, Y = data(64, 400)
    expected = net.predict(X[:4])
    failed, stop, made = [], threading.Event(), []

    def predict():
        while not stop.is_set():
            if not np.array_equal(net.predict(X[:4]), expected):
                failed.append(1)
                return

    def train():
        while not stop.is_set():
            net.partial_fit(X, Y, optimizer=fastgd.SGD(1e-6))
            made.append(1)
            if not np.isfinite(net.parameters).all():
                failed.append(1)
                return

    n = 2 if step else 4
    threads = [threading.Thread(target=train if step else predict) for _ in range(n)]
    for thread in threads:
        thread.start()
    threads[0].join(0.4)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert net.state.step == len(made)


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize("when", ["on_batch_end", "on_epoch_end", "on_train_end"])
def test_callbacks_do_not_train_the_network(backend, how, when):
    X, Y = data(20, 3)
    net = network(backend, (3, 2))

    def train(self, network, *given):
        getattr(network, how)(X, Y)

    callback = type("Trains", (), {when: train, "every": 1})()
    with pytest.raises(RuntimeError, match=r"being trained.*but network.copy\(\)"):
        net.fit(X, Y, epochs=2, optimizer="sgd", callbacks=callback)
    net.fit(X, Y, epochs=1, optimizer="sgd")  # it is usable


def test_what_is_given_out_is_not_what_is_trained(backend):
    """A view's shape, type and flags may be changed; its numbers are the network's."""
    X, Y = data(20, 3)
    net, other = (network(backend, (3, 2)) for _ in range(2))
    net.parameters.flags.writeable = False
    net.parameters.shape = (2, -1)
    net.parameters.dtype = np.uint8
    for one in (net, other):
        one.fit(X, Y, epochs=2, optimizer="sgd")
        one.parameters += 1
        one.parameters *= 2.0
    np.testing.assert_array_equal(net.parameters, other.parameters)


def test_parameters_that_a_callback_spoiled(backend):
    X, Y = data(20, 3)
    net = network(backend, (3, 2))

    class Spoils:
        every = 1

        def on_batch_end(self, network, step, logs):
            network.parameters[:] = np.nan

    with pytest.raises(DivergenceError, match="not finite before that step"):
        net.fit(X, Y, epochs=2, batch_size=5, optimizer="sgd", callbacks=Spoils())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # 3.12 on: threads
def test_a_child_does_not_wait_for_its_parents_threads():
    net = network("numpy", (2, 2))
    began, end = threading.Event(), threading.Event()

    def train():
        with net.state.turn.lock:
            began.set()
            end.wait()

    thread = threading.Thread(target=train)
    thread.start()
    began.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)
        net.partial_fit([[0.0, 1.0]], [[0.0, 1.0]])
        copy.deepcopy(net).partial_fit([[0.0, 1.0]], [[0.0, 1.0]])
        os._exit(0)
    end.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fit_that_waits_goes_on_from_where_the_other_ends(backend):
    """Its schedule and the order of its rows, too: as if they had been called in turn."""
    X, Y = data(20, 3)
    together, in_turn = (network(backend, (3, 2)) for _ in range(2))
    began, end = threading.Event(), threading.Event()

    class Waits:
        def on_epoch_begin(self, network, epoch):
            began.set()
            end.wait()

    def fit(net, **given):
        net.fit(X, Y, epochs=2, batch_size=5, optimizer=fastgd.SGD(fastgd.Cosine(0.5)), **given)

    threads = [threading.Thread(target=fit, args=[together], kwargs={"callbacks": Waits()})]
    threads[0].start()
    began.wait()
    threads.append(threading.Thread(target=fit, args=[together]))
    threads[1].start()
    threads[1].join(0.2)  # it has checked what it was given, and waits
    end.set()
    for thread in threads:
        thread.join()
    for _ in range(2):
        fit(in_turn)
    np.testing.assert_array_equal(together.parameters, in_turn.parameters)
