"""Networks in files: what is written is read again, what is no network is refused.

Damage of every kind is test_files_damage.py's, the writing itself test_writing.py's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from conformance import RULE_TRIPLES
from safetensors import safe_open
from safetensors.numpy import save as serialize

import fastgd
from fastgd import ModelFileError, storage
from fastgd.backends import BACKENDS
from fastgd.engine.architecture import DTYPES
from fastgd.files import KIND

X = np.random.default_rng(0).standard_normal((20, 4))
OLD = Path(__file__).parent / "files"


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


def signed(tensors: dict, header: object) -> bytes:
    """Return the file of some tensors, with a checksum that is right."""
    text = json.dumps(header)
    known = {name: storage.Tensor(t.dtype.name, t.shape) for name, t in tensors.items()}
    blobs = {name: tensor.tobytes() for name, tensor in tensors.items()}
    checksum = storage.checksum_of(text, known, blobs)
    return serialize(tensors, {"fastgd": text, "checksum": checksum})


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
        assert sorted(tensors) == [
            "layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight",
        ]  # fmt: skip
        for layer in range(2):
            assert np.array_equal(tensors[f"layers.{layer}.weight"], net.weights[layer].T)
            assert np.array_equal(tensors[f"layers.{layer}.bias"], net.biases[layer])
        assert header["architecture"]["sizes"] == [4, 17, 3]
        assert (header["kind"], header["format"]) == ("network", 2)
        assert header["fastgd"] == fastgd.__version__

    def test_the_checksum_is_the_one_that_is_written_down(self, net, path):
        """As docs/files.md says it, by other means than the code's."""
        net.save(path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            digest = hashlib.blake2b(metadata["fastgd"].encode(), digest_size=32)
            for name in sorted(file.keys()):
                array = file.get_tensor(name)
                digest.update(f"\n{name} {array.dtype} {list(array.shape)}\n".encode())
                digest.update(array.astype("<f4").tobytes())
        assert metadata["checksum"] == f"blake2b:{digest.hexdigest()}"

    def test_notes_that_are_json_are_json_in_the_file(self, net, path):
        """Where the same text can be made of it again."""
        net.notes = {"columns": '{"a": [1, 2.5]}', "target": "not JSON", "feature_names": "[1,2]"}
        net.save(path)
        header = read(path)[1]
        assert header["columns"] == {"a": [1, 2.5]}
        assert header["notes"] == {"feature_names": "[1,2]", "target": "not JSON"}
        assert fastgd.load(path).notes == net.notes

    def test_names_in_the_notes_are_no_labels(self, net, path):
        """They were in the first format."""
        net.notes = {"class_names": '["a", "b", "c"]'}
        net.save(path)
        assert fastgd.load(path).labels.values is None

    def test_what_is_said_of_the_last_training(self, net, path):
        net.fit(X, np.arange(20) % 3, epochs=2, batch_size=8, optimizer="sgd")
        net.save(path)
        said = read(path)[1]["training"]
        assert re.fullmatch(r"2 epochs, batches of 8, SGD\(.*\): cost 0\.\d+", said)
        assert fastgd.load(path).notes["training"] == said

    def test_more_to_say_than_a_header_holds(self, net, path):
        """A table of very many columns."""
        net.notes = {"columns": json.dumps([{"name": f"ä{i}"} for i in range(60_000)],
                                           ensure_ascii=False)}  # fmt: skip
        net.save(path)
        assert int.from_bytes(path.read_bytes()[:8], "little") < storage.MAX_HEADER
        assert same(fastgd.load(path), net)
        net.notes["columns"] *= 20
        before = path.read_bytes()
        with pytest.raises(ValueError, match="at most 16,777,216 are kept"):
            net.save(path)
        assert path.read_bytes() == before

    def test_more_layers_than_a_header_names(self, path):
        with pytest.raises(ValueError, match="arrays are more than the header"):
            fastgd.Network([1] * 9000).save(path)

    @pytest.mark.parametrize("length", range(40))
    def test_any_length_of_the_header(self, net, path, length):
        """Its first bytes are those of other formats, too: 0x80 0x02 begins a pickle."""
        net.notes = {"a": "x" * length * 8}
        net.save(path)
        assert same(fastgd.load(path), net)

    def test_saving_again_replaces(self, net, path):
        net.save(path)
        net.parameters = np.zeros(net.n_parameters)
        net.save(path)
        assert same(fastgd.load(path), net)
        assert os.listdir(path.parent) == [path.name]

    @pytest.mark.parametrize("notes", [{"a": {1}}, {"a": 1}, {1: "a"}, ["a"], None])
    def test_notes_that_are_no_texts(self, net, path, notes):
        """What could not be read is not written."""
        net.notes = notes
        with pytest.raises(TypeError, match="notes must be texts by name"):
            net.save(path)
        assert os.listdir(path.parent) == []

    def test_notes_of_file_names_that_are_no_utf8(self, net, path):
        net.notes = {"data": os.fsdecode(b"caf\xe9.csv")}
        net.save(path)
        assert fastgd.load(path).notes == net.notes

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


class TestEarlierFormats:
    """A file of each is kept, with what the network of it said when it was written."""

    def test_every_format_is_kept(self):
        kept = {int(path.name[6]) for path in OLD.glob("*.safetensors")}
        assert kept == set(range(1, KIND.format + 1))

    @pytest.mark.parametrize("path", sorted(OLD.glob("*.safetensors")), ids=lambda path: path.stem)
    def test_is_read(self, path):
        said = json.loads(path.with_suffix(".json").read_text())
        net = fastgd.load(path, backend="numpy")
        assert net.parameters.tolist() == said["parameters"]
        assert net.notes == said["notes"]
        if "X" in said:
            np.testing.assert_allclose(net.predict(said["X"]), said["outputs"], rtol=1e-6)
        if "classes" in path.stem:
            assert list(net.classes) == ["cat", "dog", "eel"]
        if "rows" in said:
            model = fastgd.Model.load(path, backend="numpy")
            assert model.predict(said["rows"]).tolist() == said["predictions"]
            np.testing.assert_allclose(model.predict_proba(said["rows"]), said["proba"], rtol=1e-6)

    def test_saved_again_it_is_the_same_network(self, path):
        net = fastgd.load(OLD / "format1-scaling.safetensors")
        net.save(path)
        assert same(fastgd.load(path), net)
        assert read(path)[1]["format"] == 2


class TestPyTorch:
    def test_reads_the_layers(self, net, path, monkeypatch):
        """The code of docs/files.md."""
        torch = pytest.importorskip("torch")
        docs = OLD.parent.parent / "docs" / "files.md"
        code = docs.read_text().partition("## In PyTorch")[2]
        (code,) = re.findall(r"```python\n(.*?)```", code, re.DOTALL)
        net.save(path)
        monkeypatch.chdir(path.parent)
        names: dict = {}
        exec(code, names)
        found = names["net"](torch.tensor(X, dtype=torch.float32)).detach().numpy()
        np.testing.assert_allclose(found, net.predict(X), rtol=1e-5)


class TestRefused:
    """`ModelFileError`, in one line that names the file."""

    def refusal(self, path: Path) -> str:
        with pytest.raises(ModelFileError) as caught:
            fastgd.load(path)
        message = str(caught.value)
        assert str(path) in message and "\n" not in message and len(message) < 600
        return message

    def rewritten(self, net, path, change) -> Path:
        """Save, let ``change(tensors, header)`` change what is in the file, write it again."""
        net.save(path)
        tensors, header = read(path)
        header = change(tensors, header) or header
        path.write_bytes(signed(tensors, header))
        return path

    def test_unchanged_is_read(self, net, path):
        assert same(fastgd.load(self.rewritten(net, path, lambda tensors, header: None)), net)

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
        self.rewritten(net, path, lambda _, header: {**header, "format": 3, "fastgd": "7.1"})
        assert "format 3, written by a newer fastgd (7.1)" in self.refusal(path)

    def test_another_kind(self, net, path):
        self.rewritten(net, path, lambda _, header: {**header, "kind": "checkpoint"})
        assert "holds a checkpoint, not a network" in self.refusal(path)

    def test_another_checksum(self, net, path):
        """A bit flipped in a number; read all the same where that is asked for."""
        net.save(path)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        assert "damaged: its checksum is another" in self.refusal(path)
        assert fastgd.load(path, verify=False).n_parameters == net.n_parameters

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
        "header",
        [[], "x", {}, {"format": 1}, {"format": 1, "architecture": 3}, {"format": True},
         {"format": 0}, {"format": "2"}],
    )  # fmt: skip
    def test_wrong_header(self, net, path, header):
        net.save(path)
        path.write_bytes(signed(read(path)[0], header))
        self.refusal(path)

    def test_no_format(self, net, path):
        self.rewritten(net, path, lambda _, header: header.pop("format") and None)
        assert "does not say its format" in self.refusal(path)

    @pytest.mark.parametrize("notes", [[1], None, 3, "text"])
    def test_wrong_notes(self, net, path, notes):
        self.refusal(self.rewritten(net, path, lambda _, header: {**header, "notes": notes}))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t, h: t.pop("layers.1.bias") is None, "tensor layers.1.bias is missing"),
            (
                lambda t, h: t.update({"layers.0.weight": np.zeros((4, 17), np.float32)}),
                r"layers.0.weight must be float32 \(17, 4\); it is float32 \(4, 17\)",
            ),
            (
                lambda t, h: t.update({"layers.0.bias": np.zeros(17)}),
                r"layers.0.bias must be float32 \(17,\); it is float64",
            ),
            (
                lambda t, h: t.update({"layers.0.bias": np.full(17, np.nan, np.float32)}),
                "layers.0.bias holds NaN or infinity",
            ),
        ],
    )
    def test_wrong_tensors(self, net, path, change, message):

        assert re.search(message, self.refusal(self.rewritten(net, path, change)))

    def test_absent(self, path):
        with pytest.raises(FileNotFoundError, match=r"model.safetensors: no such file"):
            fastgd.load(path)
        assert "is a folder; name a model file" in self.refusal(path.parent)
        for call in (fastgd.load, fastgd.Network([2, 1]).save):
            with pytest.raises(TypeError, match="path must be a path; got None"):
                call(None)
            with pytest.raises(FileNotFoundError, match="the path is empty; name a "):
                call("")
