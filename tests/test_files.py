"""Networks in files: what is written is read again, and what is damaged is refused."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from conformance import RULE_TRIPLES
from safetensors import safe_open
from safetensors.numpy import save as serialize

import fastgd
from fastgd import DataError
from fastgd.backends import BACKENDS
from fastgd.engine.architecture import DTYPES

X = np.random.default_rng(0).standard_normal((20, 4))


@pytest.fixture
def net():
    return fastgd.Network([4, 17, 3], seed=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def same(a: fastgd.Network, b: fastgd.Network) -> bool:
    return (
        a.architecture == b.architecture
        and a.parameters.tobytes() == b.parameters.tobytes()
        and a.predict(X).tobytes() == b.predict(X).tobytes()
        and a.notes == b.notes
    )


def read(path: Path) -> tuple[dict, dict]:
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, json.loads(file.metadata()["fastgd"])


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("activation", "output", "loss"), RULE_TRIPLES)
    def test_every_rule(self, path, activation, output, loss, dtype):
        net = fastgd.Network(
            [4, 5, 3], activation=activation, output=output, loss=loss, dtype=dtype, seed=1,
            input_scale=1 / 255,
        )  # fmt: skip
        net.save(path)
        assert same(fastgd.load(path), net)

    @pytest.mark.parametrize("sizes", [[4, 1], [4, 3], [4, *range(1, 9), 2]])
    def test_every_depth(self, path, sizes):
        net = fastgd.Network(sizes, seed=1)
        net.save(path)
        assert same(fastgd.load(path), net)

    def test_after_training(self, net, path):
        net.fit(X, np.arange(20) % 3, epochs=3, optimizer="sgd")
        net.save(path)
        other = fastgd.load(path)
        assert same(other, net)
        for network in (net, other):
            network.fit(X, np.arange(20) % 3, epochs=1, shuffle=False, optimizer="sgd")
        assert same(other, net)

    def test_paths(self, net, path):
        net.save(str(path))
        assert same(fastgd.load(str(path)), net) and same(fastgd.load(path), net)

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_backend(self, net, path, backend):
        net.save(path)
        other = fastgd.load(path, backend=backend)
        assert other.backend == backend
        assert fastgd.load(path).backend is None
        with pytest.raises(ValueError, match="backend must be one of"):
            fastgd.load(path, backend="nunpy")

    def test_notes(self, net, path):
        net.notes = {"classes": '["a", "b"]', "ü": 'quote " and\nline', "empty": ""}
        net.save(path)
        assert fastgd.load(path).notes == net.notes

    def test_a_loaded_network_is_its_own(self, net, path):
        net.save(path)
        first, second = fastgd.load(path), fastgd.load(path)
        first.parameters[:] = 0
        assert second.parameters.any() and first.parameters.flags.writeable
        assert same(fastgd.load(path), net)


class TestFile:
    def test_same_network_same_bytes(self, net, path, tmp_path):
        net.notes = {"b": "2", "a": "1"}
        net.save(path)
        other = fastgd.load(path)
        other.notes = {"a": "1", "b": "2"}
        other.save(tmp_path / "other")
        assert (tmp_path / "other").read_bytes() == path.read_bytes()

    def test_any_reader_of_safetensors_finds_the_layers(self, net, path):
        net.save(path)
        tensors, header = read(path)
        assert sorted(tensors) == ["biases.0", "biases.1", "weights.0", "weights.1"]
        for layer in range(2):
            assert np.array_equal(tensors[f"weights.{layer}"], net.weights[layer])
            assert np.array_equal(tensors[f"biases.{layer}"], net.biases[layer])
        assert header["architecture"]["sizes"] == [4, 17, 3]

    def test_saving_again_replaces(self, net, path):
        net.save(path)
        net.parameters = np.zeros(net.n_parameters)
        net.save(path)
        assert same(fastgd.load(path), net)
        assert os.listdir(path.parent) == [path.name]

    @pytest.mark.skipif(sys.platform == "win32", reason="no permissions")
    def test_permissions_are_those_of_any_new_file(self, net, path):
        other = path.with_name("other")
        other.touch()
        net.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)

    @pytest.mark.parametrize("what", ["replace", "fdopen", "chmod"])
    def test_a_failed_save_leaves_the_old_file(self, net, path, monkeypatch, what):
        def fail(*args, **kwargs):
            raise OSError(28, "No space left on device")

        net.save(path)
        before = path.read_bytes()
        net.parameters = np.zeros(net.n_parameters)
        with monkeypatch.context() as patch:
            patch.setattr(os, what, fail)
            with pytest.raises(OSError, match="No space left"):
                net.save(path)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]

    def test_ctrl_c_while_saving(self, net, path, monkeypatch):
        def interrupt(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            net.save(path)
        assert os.listdir(path.parent) == []

    @pytest.mark.parametrize("notes", [{"a": {1}}, {"a": np.float32(1)}, [object()]])
    def test_notes_that_cannot_be_written(self, net, path, notes):
        net.notes = notes
        with pytest.raises((TypeError, ValueError)):
            net.save(path)
        assert os.listdir(path.parent) == []

    def test_no_folder(self, net, path):
        with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
            net.save(path.parent / "nowhere" / "model")
        with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
            net.save(path.parent)

    def test_nan_is_not_written_where_it_could_not_be_read(self, net, path):
        net.parameters[3] = np.nan
        with pytest.raises(ValueError, match=r"parameters must be finite; parameters\[3\] is nan"):
            net.save(path)
        assert os.listdir(path.parent) == []


class TestRefused:
    """`DataError`, in one line that names the file."""

    def refusal(self, path: Path) -> str:
        with pytest.raises(DataError) as caught:
            fastgd.load(path)
        message = str(caught.value)
        assert str(path) in message and "\n" not in message and len(message) < 600
        return message

    def rewritten(self, net, path, change) -> Path:
        """Save, let ``change(tensors, header)`` change what is in the file, write it again."""
        net.save(path)
        tensors, header = read(path)
        header = change(tensors, header) or header
        path.write_bytes(serialize(tensors, {"fastgd": json.dumps(header)}))
        return path

    def test_unchanged_is_read(self, net, path):
        assert same(fastgd.load(self.rewritten(net, path, lambda tensors, header: None)), net)

    def test_cut_short_anywhere(self, net, path):
        net.save(path)
        content = path.read_bytes()
        for size in [*range(0, len(content) - 1, 23), len(content) - 1]:
            path.write_bytes(content[:size])
            self.refusal(path)

    def test_something_appended(self, net, path):
        net.save(path)
        path.write_bytes(path.read_bytes() + b"x")
        self.refusal(path)

    def test_any_damaged_byte_of_the_header(self, net, path):
        """A damaged header is refused, or says what it said; nothing else is raised."""
        net.save(path)
        content = path.read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        for i in range(0, end, 3):
            path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
            try:
                fastgd.load(path)
            except DataError as error:
                assert str(path) in str(error)

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, b"PK\x03\x04" + bytes(60)])
    def test_other_files(self, path, content):
        path.write_bytes(content)
        assert "not a safetensors file, or damaged" in self.refusal(path)

    @pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"fastgd": "{"}, {"fastgd": "3"}])
    def test_safetensors_of_others(self, path, metadata):
        path.write_bytes(serialize({"weight": np.zeros(3)}, metadata))
        self.refusal(path)

    def test_safetensors_of_others_with_numbers_numpy_does_not_know(self, path):
        for name in ("F8_E4M3", "BF16", "F4"):
            width = 2 if name == "BF16" else 1
            tensor = {"dtype": name, "shape": [4], "data_offsets": [0, 4 * width]}
            header = json.dumps({"weight": tensor}).encode()
            path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * width))
            self.refusal(path)

    def test_a_newer_format(self, net, path):
        self.rewritten(net, path, lambda tensors, header: {**header, "format": 2})
        assert "newer fastgd" in self.refusal(path)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("sizes", [4, 17]),
            ("sizes", [4, 18, 3]),
            ("sizes", [4, 17, 3, 2]),
            ("sizes", [4, 0, 3]),
            ("sizes", [4, -17, 3]),
            ("sizes", [10**9, 10**9, 3]),
            ("sizes", "4 17 3"),
            ("sizes", 4),
            ("sizes", None),
            ("activation", "swish"),
            ("activation", ["relu"] * 9),
            ("output", "softmax"),  # does not go with the loss
            ("output", ["sigmoid"]),
            ("loss", "hinge"),
            ("dtype", "float16"),
            ("dtype", "float64"),
            ("input_scale", 0),
            ("input_scale", "1"),
            ("input_scale", float("nan")),
            ("unheard_of", 1),
        ],
    )
    def test_wrong_architecture(self, net, path, field, value):
        def change(tensors, header):
            header["architecture"][field] = value

        self.refusal(self.rewritten(net, path, change))

    @pytest.mark.parametrize(
        "field", ["sizes", "activation", "output", "loss", "dtype", "input_scale"]
    )
    def test_missing_architecture(self, net, path, field):
        """Nothing is guessed: another loss would be another network."""
        self.rewritten(
            net, path, lambda tensors, header: header["architecture"].pop(field) and None
        )
        self.refusal(path)

    @pytest.mark.parametrize(
        "header", [[], "x", {}, {"format": 1}, {"format": 1, "architecture": 3}]
    )
    def test_wrong_header(self, net, path, header):
        self.refusal(self.rewritten(net, path, lambda *_: header or [0]))

    @pytest.mark.parametrize("notes", [[1], None, 3, "text"])
    def test_wrong_notes(self, net, path, notes):
        self.refusal(self.rewritten(net, path, lambda _, header: {**header, "notes": notes}))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t, h: t.pop("biases.1") is None, "tensor biases.1 is missing"),
            (
                lambda t, h: t.update({"weights.0": np.zeros((17, 4), np.float32)}),
                r"weights.0 must be float32 \(4, 17\); it is float32 \(17, 4\)",
            ),
            (
                lambda t, h: t.update({"biases.0": np.zeros(17)}),
                r"biases.0 must be float32 \(17,\); it is float64",
            ),
            (
                lambda t, h: t.update({"biases.0": np.full(17, np.nan, np.float32)}),
                "biases.0 holds NaN or infinity",
            ),
        ],
    )
    def test_wrong_tensors(self, net, path, change, message):

        assert re.search(message, self.refusal(self.rewritten(net, path, change)))

    def test_absent(self, path):
        with pytest.raises(FileNotFoundError, match=r"model.safetensors: no such file"):
            fastgd.load(path)
        with pytest.raises(IsADirectoryError, match="is a folder; name a model file"):
            fastgd.load(path.parent)
