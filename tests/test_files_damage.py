"""Files that are damaged, foreign or hostile: `ModelFileError`, and nothing else."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import sys
import threading
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as serialize
from stress_form import rounds
from test_files import OLD, X, read, signed

import fastgd
from fastgd import ModelFileError, storage
from fastgd.looks import looks_like

posix = pytest.mark.skipif(sys.platform == "win32", reason="no such thing there")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def net():
    """One that has everything a file can hold."""
    net = fastgd.Network([2, 2, 2], activation="leaky_relu", seed=1, backend="numpy")
    net.fit(X[:, :2] * 3 + 1, np.array(["cat", "dog"] * 10), epochs=1, standardize=True,
            optimizer="sgd")  # fmt: skip
    net.notes["columns"] = '{"a": 1}'
    return net


def refusal(path: Path, load=fastgd.load) -> str:
    with pytest.raises(ModelFileError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 600
    return message


def refused_or(path: Path, net: fastgd.Network) -> bool:
    """Return whether a file is refused; else it must be the network, bit for bit."""
    try:
        found = fastgd.load(path, backend="numpy")
    except ModelFileError:
        return True
    assert found.architecture == net.architecture and found.notes == net.notes
    assert found.parameters.tobytes() == net.parameters.tobytes()
    assert found.classes.tolist() == net.classes.tolist()
    return False


class TestDamage:
    @pytest.mark.slow
    def test_every_flipped_bit(self, net, path):
        """Is noticed: what is read is what was written."""
        net.save(path)
        content = path.read_bytes()
        with path.open("r+b", buffering=0) as file:
            for i, byte in enumerate(content):
                for bit in range(8):
                    os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), i)
                    assert refused_or(path, net), f"bit {bit} of byte {i}: {content[i - 9 : i + 9]}"
                os.pwrite(file.fileno(), bytes([byte]), i)
        assert same_as(path, net)

    @pytest.mark.parametrize("name", ["format1-classes", "format1-table"])
    def test_flipped_bits_of_the_first_format(self, path, name):
        """It has no checksum, so that not all are noticed; nothing else is raised."""
        content = (OLD / f"{name}.safetensors").read_bytes()
        load = fastgd.Model.load if name.endswith("table") else fastgd.load
        for i in range(0, len(content) * 8, rounds(29, 1)):
            flipped = bytearray(content)
            flipped[i // 8] ^= 1 << i % 8
            path.write_bytes(flipped)
            try:
                load(path, backend="numpy")
            except ModelFileError as error:
                assert str(path) in str(error)

    def test_every_length(self, net, path):
        net.save(path)
        content = path.read_bytes()
        for size in range(len(content)):
            path.write_bytes(content[:size])
            refusal(path)
        for more in (b"\0", b"x", content):
            path.write_bytes(content + more)
            assert "longer than it says, or damaged" in refusal(path)

    def test_random_bytes(self, path):
        drawn = random.Random(0)
        for _ in range(rounds(500, 50_000)):
            length = drawn.randrange(200)
            path.write_bytes(length.to_bytes(8, "little") + b"{" + drawn.randbytes(length))
            refusal(path)


def same_as(path: Path, net: fastgd.Network) -> bool:
    return not refused_or(path, net)


#: What may stand where something else should.
HOSTILE: list[Any] = [
    None, True, 0, -1, 1, 2.5, 1e308, 10**400, 2**63, "", "x", "relu", "0", [], {}, [[]], [None],
    [0], [2, 2], [2, 2, 2, 2], [10**9, 10**9], ["cat", "cat"], ["cat", 1], {"name": "relu"},
    {"name": "leaky_relu", "alpha": "x"}, {"name": []}, "x" * 10_000, list(range(3000)),
    "\x1b[31m\n", "\udcff", "layers.0.bias", "F32", "float64", {"a": {"b": [1]}}, [[1, 2], [3]],
]  # fmt: skip


def mutated(value: Any, drawn: random.Random) -> Any:
    """Return JSON with one thing in it changed, dropped, added or put elsewhere."""
    if isinstance(value, (dict, list)) and value and drawn.random() < 0.85:
        copy = value.copy()
        key = drawn.choice(list(copy)) if isinstance(copy, dict) else drawn.randrange(len(copy))
        what = drawn.random()
        if what < 0.7:
            copy[key] = mutated(copy[key], drawn)
        elif what < 0.8:
            del copy[key]
        elif isinstance(copy, dict):
            copy[drawn.choice(["x", "format", "classes", "sizes", key])] = drawn.choice(HOSTILE)
        else:
            copy.insert(key, drawn.choice(HOSTILE))
        return copy
    return drawn.choice(HOSTILE)


class TestHostile:
    """Somebody who knows the format, and signs what he has made."""

    @pytest.mark.parametrize("name", ["format1-table", "format2-table", "format2-classes"])
    def test_what_is_said(self, path, name):
        tensors, said = read(OLD / f"{name}.safetensors")
        load = fastgd.Model.load if name.endswith("table") else fastgd.load
        drawn, read_well = random.Random(0), 0
        for _ in range(rounds(250, 70_000)):
            path.write_bytes(signed(tensors, mutated(said, drawn)))
            try:
                model = load(path, backend="numpy")
            except ModelFileError as error:
                assert str(path) in str(error) and len(str(error)) < 1000
            else:
                read_well += 1
                assert model is not None
        assert read_well

    def test_where_the_numbers_are(self, path, net):
        net.save(path)
        content = path.read_bytes()
        n = int.from_bytes(content[:8], "little")
        header, drawn = json.loads(content[8 : 8 + n]), random.Random(0)
        for _ in range(rounds(400, 70_000)):
            text = json.dumps(mutated(header, drawn)).encode()
            path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + n :])
            refused_or(path, net)

    @pytest.mark.parametrize(
        "entry",
        [
            {"dtype": "F32", "shape": [1 << 61], "data_offsets": [0, 1 << 63]},
            {"dtype": "F32", "shape": [1 << 31, 1 << 31, 1 << 31], "data_offsets": [0, 0]},
            {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]},
            {"dtype": "F32", "shape": [3.0], "data_offsets": [0, 12]},
            {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
            {"dtype": "F32", "shape": [3], "data_offsets": [12, 0]},
            {"dtype": "F32", "shape": [3], "data_offsets": [0, 12, 12]},
            {"dtype": "F32", "shape": "3", "data_offsets": [0, 12]},
            {"dtype": "F8_E4M3", "shape": [12], "data_offsets": [0, 12]},
            {"dtype": [], "shape": [3], "data_offsets": [0, 12]},
            {"dtype": "F32", "shape": [1] * 9, "data_offsets": [0, 4]},
            {"dtype": "F32", "shape": [3], "data_offsets": [0, 12], "more": 1},
            {"dtype": "F32", "shape": [3]},
            [], "x", None, 3,
        ],
    )  # fmt: skip
    def test_an_array_that_cannot_be(self, path, entry):
        header = json.dumps({"__metadata__": {"fastgd": "{}"}, "weights.0": entry}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
        assert "damaged: what it says of tensor weights.0" in refusal(path)

    @pytest.mark.parametrize("place", [[4, 16], [1 << 40, (1 << 40) + 12]])
    def test_a_gap_before_an_array(self, path, place):
        entry = {"dtype": "F32", "shape": [3], "data_offsets": place}
        header = json.dumps({"__metadata__": {"fastgd": "{}"}, "weights.0": entry}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
        assert "begins at a wrong place" in refusal(path)

    def test_far_more_sizes_than_arrays(self, path):
        """Refused before anything is made of them."""
        tensors, said = read(OLD / "format2-classes.safetensors")
        said["architecture"]["sizes"] = [3] * 50_000
        path.write_bytes(signed(tensors, said))
        assert "sizes do not go with 4 tensors" in refusal(path)

    def test_far_more_arrays_than_anybody_has(self, path):
        entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
        names = {f"layers.{i}.weight": entry for i in range(storage.MAX_ARRAYS + 1)}
        header = json.dumps({"__metadata__": {"fastgd": "{}"}, **names}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        assert "names 4,097 arrays; at most 4,096 are read" in refusal(path)

    def test_two_arrays_in_one_place(self, path):
        entry = {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}
        header = json.dumps({"__metadata__": {"fastgd": "{}"}, "a": entry, "b": entry}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
        assert "begins at a wrong place" in refusal(path)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[" * 100_000, "deeper than 32 levels"),
            ('{"a":' * 100_000, "deeper than 32 levels"),
            ('{"format": ' + "1" * 1000 + "}", "more than 400 digits"),
            ('{"format": NaN}', "NaN is no JSON"),
            ('{"format": 1, "format": 2}', "a key that is there twice"),
            ('{"a": "\\"', "no JSON"),
            ('"' + '\\"' * 100_000, "no JSON"),
            ('{"a": ' + ("1" * 399 + ",") * 1000 + "}", "no JSON"),
            ('{"a": [' + "[]," * 10_000 + "[]]}", "too many lists"),
            ('{"a": [' + '{"":0},' * 10_000 + "0]}", "too many lists"),
        ],
    )
    def test_json_that_is_a_trap(self, path, text, says):
        path.write_bytes(serialize({}, {"fastgd": text}))
        assert says in refusal(path)
        header = f'{{"a": {text}}}'.encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        assert "damaged" in refusal(path)

    def test_deep_json_where_python_may_recurse_for_ever(self, path):
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(10**6)
        try:
            with pytest.raises(ValueError, match="deeper"):
                storage.parse("[" * 400_000 + "]" * 400_000)
        finally:
            sys.setrecursionlimit(before)

    @pytest.mark.parametrize(
        "notes",
        [{"columns": "[" * 2000}, {"columns": "{}", "target": "[]"}, {"columns": "NaN"},
         {"columns": '{"columns": [{"name": 3, "kind": "number"}]}'},
         {"columns": '{"columns": [{"name": "a", "kind": "soup"}]}'},
         {"columns": '{"columns": [{"name": "a", "kind": "date", "parts": ["eon"]}]}'},
         {"columns": '{"columns": [{"name": "a", "kind": "number", "fill": 1e999}]}'},
         {"columns": '{"columns": [{"name": "a", "kind": "category", "categories": [1]}]}'},
         {"target": '{"columns": "kind", "labels": null, "integers": 0, "written": ""}'},
         {"target": '{"columns": ["kind"], "labels": [["a"]], "integers": 0, "written": ""}'},
         {"target": '{"columns": ["kind"], "labels": ["a"], "integers": 0, "written": ""}'},
         {"columns": '{"columns": [{"name": "a", "kind": "number"}]}'}],
    )  # fmt: skip
    def test_columns_and_targets_that_are_none(self, path, notes):
        net = fastgd.load(OLD / "format2-table.safetensors")
        net.notes |= notes
        net.save(path)
        refusal(path, fastgd.Model.load)

    def test_no_more_memory_than_the_file_is_worth(self, path):
        """A header of 8 MB with four million sizes, and one that promises a terabyte."""
        sizes = json.dumps({"fastgd": json.dumps({"format": 1, "architecture": {
            "sizes": [1] * 4_000_000}})}).encode()  # fmt: skip
        promise = json.dumps({
            "__metadata__": {"fastgd": json.dumps({"format": 2, "architecture": {
                "sizes": [10**6, 10**6], "activation": [], "output": "relu", "loss": "mse",
                "dtype": "float32", "input_scale": 1}})},
            "layers.0.weight": {"dtype": "F32", "shape": [10**6] * 2,
                                "data_offsets": [0, 4 * 10**12]},
            "layers.0.bias": {"dtype": "F32", "shape": [10**6],
                              "data_offsets": [4 * 10**12, 4 * 10**12 + 4 * 10**6]},
        }).encode()  # fmt: skip
        for header, size in ((sizes, 0), (promise, 4 * 10**12 + 4 * 10**6)):
            path.write_bytes(len(header).to_bytes(8, "little") + header)
            os.truncate(path, 8 + len(header) + size)
            tracemalloc.start()
            try:
                refusal(path)
                assert tracemalloc.get_traced_memory()[1] < 1 << 20
            finally:
                tracemalloc.stop()


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x" * 100)
    return file.getvalue()


def numpy_bytes(save, *args, **kwargs) -> bytes:
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


#: Files of others, and what they are called.
FOREIGN = {
    "pickle": (pickle.dumps({"a": 1}), "it looks like a pickle"),
    "old pickle": (pickle.dumps({"a": 1}, protocol=2), "it looks like a pickle"),
    "joblib": (pickle.dumps("joblib.numpy_pickle"), "a pickle of joblib"),
    "torch": (zipped("archive/data.pkl"), "a torch file"),
    "old torch": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(9), "a torch file"),
    "npz": (numpy_bytes(np.savez, a=np.zeros(3)), "NumPy's .npz"),
    "npy": (numpy_bytes(np.save, np.zeros(3)), "NumPy's .npy"),
    "keras": (zipped("metadata.json"), "a Keras file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5, as Keras writes"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.0.1" + bytes(20), "ONNX"),
    "zip": (zipped("letter.txt"), "a zip file"),
    "xlsx": (zipped("[Content_Types].xml"), "a document such as .xlsx"),
    "gzip": (b"\x1f\x8b\x08" + bytes(20), "gzip"),
    "parquet": (b"PAR1" + bytes(20), "Parquet"),
    "HTML": (b"\n<!DOCTYPE html><html><body>404</body></html>", "HTML: a web page"),
    "JSON": (b'{"weights": [1, 2, 3]}', "JSON"),
    "text": (b"weight,fur\n4,long\n", "text"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
    "empty": (b"", "an empty file"),
    "zeros": (bytes(4096), "nothing but zeros"),
    "noise": (b"\x07\xff\x03\x91" * 20, "nothing that is known here"),
    "nine bytes": (b"\x01" + bytes(7) + b"{", "nothing that is known here"),
}


class TestForeign:
    @pytest.mark.parametrize("what", FOREIGN)
    def test_says_what_it_looks_like(self, path, what):
        content, words = FOREIGN[what]
        path.write_bytes(content)
        message = refusal(path)
        assert "not a safetensors file; it looks like" in message and words in message

    def test_of_the_libraries_themselves(self, path):
        torch = pytest.importorskip("torch")
        torch.save({"a": torch.zeros(3)}, path)
        assert "a torch file" in refusal(path)
        torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
        assert "a torch file (an old one)" in refusal(path)

    def test_of_joblib_and_onnx(self, path):
        joblib, onnx = pytest.importorskip("joblib"), pytest.importorskip("onnx")
        joblib.dump({"a": np.zeros(3)}, path)
        assert "a pickle" in refusal(path)
        graph = onnx.helper.make_graph([], "g", [], [])
        onnx.save(onnx.helper.make_model(graph), str(path))
        assert "ONNX" in refusal(path)

    def test_a_long_header_of_others(self, path):
        path.write_bytes(serialize({f"a{i}": np.zeros(1) for i in range(20_000)}))
        assert "with a header of 1,3" in refusal(path)

    def test_nothing_is_known_of_most(self):
        assert looks_like(b"\x07\xff", 2) == ""

    def test_a_folder(self, path):
        path.mkdir()
        assert "is a folder; name a model file" in refusal(path)

    @posix
    def test_what_is_no_file(self, path):
        """It is not waited for, nor opened."""
        os.mkfifo(path)
        assert "is a pipe; name a model file" in refusal(path)
        assert "is a device" in refusal(Path("/dev/zero"))
        link = path.with_name("link")
        link.symlink_to(path)
        assert "is a pipe" in refusal(link)

    @posix
    def test_a_terabyte_of_nothing(self, path):
        path.touch()
        os.truncate(path, 1 << 40)
        assert "nothing but zeros" in refusal(path)

    @posix
    def test_a_terabyte_behind_a_model(self, path, net):
        net.save(path)
        os.truncate(path, 1 << 40)
        assert "longer than it says" in refusal(path)


class TestWhileItIsRead:
    @posix
    def test_rewritten_in_place(self, path):
        """Not by us; the reader is not ended by it, and finds it whole or damaged."""
        nets = [fastgd.Network([3, size, 2], seed=0, backend="numpy") for size in (5, 20_000)]
        contents = []
        for net in nets:
            net.save(path)
            contents.append(path.read_bytes())
        stop = threading.Event()

        def rewrite() -> None:
            while not stop.is_set():
                for content in contents:
                    with path.open("r+b") as file:
                        file.truncate(0)
                        file.write(content)

        thread = threading.Thread(target=rewrite)
        thread.start()
        try:
            for _ in range(rounds(50, 2000)):
                try:
                    net = fastgd.load(path, backend="numpy")
                except ModelFileError:
                    continue
                assert any(np.array_equal(net.parameters, each.parameters) for each in nets)
        finally:
            stop.set()
            thread.join()

    def test_cut_after_its_header_was_read(self, path, net, monkeypatch):
        net.save(path)
        compare = storage._compare

        def cut(*args):
            os.truncate(path, path.stat().st_size - 3)
            return compare(*args)

        monkeypatch.setattr(storage, "_compare", cut)
        assert "became shorter while it was read" in refusal(path)

    @posix
    def test_read_only_moved_and_mapped(self, path, net):
        net.save(path)
        moved = path.with_name("moved")
        path.rename(moved)
        moved.chmod(0o400)
        mapped = np.memmap(moved, mode="r")
        assert same_as(moved, net) and len(mapped)

    def test_saved_to_where_it_came_from(self, path, net):
        net.save(path)
        loaded = fastgd.load(path, backend="numpy")
        loaded.parameters *= 2
        loaded.save(path)
        assert same_as(path, loaded)
