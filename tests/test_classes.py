"""Classes keep their labels: in fits and scores, answers, copies and files."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import fastgd

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
CODES = np.arange(60) % 3
X = CENTRES[CODES] + 0.3 * RNG.normal(size=(60, 2))
WORDS = np.array(["dog", "ant", "cow"])  # in another order than the codes
LABELS = {
    "text": WORDS,
    "objects": WORDS.astype(object),
    "numbers": np.array([30, 10, 20]),
    "floats": np.array([3.0, 1.0, 2.0]),
    "signed": np.array([5, -1, 2]),
    "spelled": np.array(["10", "2", "9"]),
}


def network(n_outputs=3, **settings):
    rules = {"output": "softmax" if n_outputs > 1 else "sigmoid", "loss": "cross_entropy"}
    return fastgd.Network([2, 8, n_outputs], **{**rules, "seed": 1, **settings})


def fitted(y, **settings):
    net = network()
    net.fit(X, y, optimizer=fastgd.Adam(0.05), epochs=30, **settings)
    return net


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_learned_and_answered(kind):
    y = LABELS[kind][CODES]
    net = fitted(
        y, validation_data=(X[:9], y[:9]), metrics=["f1"], class_weight={y.tolist()[0]: 2.0}
    )
    assert (net.predict_classes(X) == y).all()
    assert net.score(X, y) == 1
    assert np.isfinite(net.loss(X, y)) and np.isfinite(net.gradient(X, y)).all()
    assert net.partial_fit(X, y) < 0.5
    order = sorted(set(y.tolist()), key=str if kind in ("text", "objects") else float)
    assert net.classes.tolist() == order
    proba = net.predict_proba(X)
    assert proba.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert (net.classes[proba.argmax(axis=1)] == y).all()


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_kept(kind, tmp_path):
    net = fitted(LABELS[kind][CODES])
    net.save(tmp_path / "net.safetensors")
    for other in (
        net.copy(), copy.copy(net), net.like(seed=3), pickle.loads(pickle.dumps(net)),
        fastgd.load(tmp_path / "net.safetensors"),
    ):  # fmt: skip
        assert other.classes.tolist() == net.classes.tolist()
        assert other.classes.dtype.kind == net.classes.dtype.kind


@pytest.mark.parametrize("labels", [("yes", "no"), (1, 2), (-1, 1), (5.0, 3.0)])
def test_one_output_has_two_classes(labels):
    y = np.array(labels)[CODES % 2]
    net = network(1)
    inputs = np.column_stack([y == labels[1], y == labels[1]])
    net.fit(inputs, y, optimizer=fastgd.Adam(0.05), epochs=30)
    assert net.classes.tolist() == sorted(labels)
    inputs = [[0, 0], [1, 1]]
    assert net.predict_classes(inputs).tolist() == list(labels)
    assert net.predict_proba(inputs)[:, 1] == pytest.approx(net.predict(inputs)[:, 0])
    assert net.predict_proba(inputs).shape == (2, 2)


def test_labels_and_codes_train_the_same_network():
    one, other = fitted(WORDS[CODES]), network()
    codes = np.searchsorted(one.classes, WORDS[CODES])
    other.fit(X, codes, optimizer=fastgd.Adam(0.05), epochs=30)
    assert (one.parameters == other.parameters).all()
    assert other.classes.tolist() == [0, 1, 2]
    assert one.score(X, codes) == 1  # where labels are text, numbers are the classes


def test_chunks_and_explanations_take_labels():
    net, y = fitted(WORDS[CODES]), WORDS[CODES]
    net.fit(lambda: [(X[:30], y[:30]), (X[30:], y[30:])], epochs=2)
    assert net.diagnose(X, y).score == 1
    assert fastgd.explain.confusion.confusion_of(net, X, y).class_names == ("ant", "cow", "dog")


def test_classes_can_be_set():
    net = network()
    net.classes = ["x", "y", "z"]
    net.fit(X, np.array(["y", "z"])[CODES % 2], epochs=1)  # one class does not occur
    assert net.classes.tolist() == ["x", "y", "z"]
    net.classes = None
    assert net.classes.tolist() == [0, 1, 2]
    for wrong in (["a", "b"], ["a", "b", "a"]):
        with pytest.raises(ValueError, match="classes must be 3 different labels"):
            net.classes = wrong
    for wrong in ("abc", 3, [["a"], ["b"], ["c"]], ["a", 1, "c"], ["a", None, "b"]):
        with pytest.raises((TypeError, ValueError), match="classes must"):
            net.classes = wrong


def test_quadratic_networks_have_classes_where_they_have_several_outputs():
    net = fastgd.Network([2, 8, 3], seed=1)
    net.fit(X, WORDS[CODES], epochs=1)
    assert net.classes.tolist() == ["ant", "cow", "dog"]
    assert net.predict_proba(X).sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert fastgd.Network([2, 1]).classes is None


def test_outputs_that_are_all_0_say_that_all_is_as_likely():
    net = fastgd.Network([2, 3], init="zeros")
    net.parameters[-3:] = -200.0
    assert net.predict_proba([[0.0, 0.0]])[0] == pytest.approx(1 / 3)


def test_numbers_have_no_classes():
    net = fastgd.Network([2, 3], output="identity", loss="mse", seed=1)
    assert net.classes is None
    for ask in (net.predict_classes, net.predict_proba):
        with pytest.raises(ValueError, match=r"predicts numbers: use predict"):
            ask(X)
    hinge = fastgd.Network([2, 3], output="identity", loss="hinge", seed=1)
    assert hinge.predict_classes(X).shape == (60,)
    with pytest.raises(ValueError, match="no probabilities"):
        hinge.predict_proba(X)
    one = fastgd.Network([2, 1], output="identity", loss="mse", seed=1)
    with pytest.raises(TypeError, match="y must hold numbers; got 'dog'"):
        one.fit(X, WORDS[CODES])
    one.fit(X, np.array(["1", "2.5", "3"])[CODES], epochs=1)  # text that spells numbers
    assert one.classes is None


def test_refused_labels_change_nothing():
    net = network()
    with pytest.raises(ValueError, match=r"as many classes .*, 3; got 2: 'ant', 'dog'"):
        net.fit(X, WORDS[CODES % 2])
    with pytest.raises(ValueError, match=r"validation_data\[1\] must hold .*; got 'bee' at"):
        net.fit(X, WORDS[CODES], validation_data=(X[:1], ["bee"]))
    with pytest.raises(TypeError, match=r"labels of one kind; got nan among text at y\[1\]"):
        net.fit(X[:2], np.array(["a", np.nan], object))
    with pytest.raises(TypeError, match=r"set as network\.classes"):
        net.partial_fit(X, WORDS[CODES])
    assert net.classes.tolist() == [0, 1, 2]
    net.fit(X, WORDS[CODES], epochs=1)
    for call in (net.fit, net.partial_fit, net.score, net.loss, net.gradient):
        with pytest.raises(ValueError, match=r"the network's classes, 'ant', 'cow', 'dog'; got 'b"):
            call(X[:2], ["ant", "bee"])
