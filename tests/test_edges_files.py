"""What no other test would miss of files: as `test_edges`."""

import json
import os

import pytest
from safetensors.numpy import save as serialize
from test_files import OLD, read

import fastgd
from fastgd import storage, writing


def test_json_is_as_deep_as_is_said():
    depth = storage.MAX_DEPTH
    assert storage.parse("[" * depth + "]" * depth)
    for opened, closed in (("[", "]"), ('{"":', "}")):
        with pytest.raises(ValueError, match="deeper than 32 levels"):
            storage.parse(opened * depth + "[]" + closed * depth)


def test_notes_that_the_header_has_no_room_for(tmp_path):
    """Quotes are escaped twice there."""
    net = fastgd.Network([2, 1], seed=0)
    net.notes["quotes"] = '"' * 300_000
    net.save(tmp_path / "model.safetensors")
    assert fastgd.load(tmp_path / "model.safetensors").notes == net.notes


@pytest.mark.parametrize("names", [["0", "1", "2"], ["2", "1", "0"]])
def test_names_of_the_first_version_that_are_numbers_only_count(tmp_path, names):
    tensors, said = read(OLD / "format1-0.1.0-classes.safetensors")
    assert said["format"] == 1 and said["architecture"]["sizes"][-1] == 3
    said.setdefault("notes", {})["class_names"] = json.dumps(names)
    path = tmp_path / "model.safetensors"
    path.write_bytes(serialize(tensors, {"fastgd": json.dumps(said)}))
    net = fastgd.load(path)
    assert net.labels.values is None if names[0] == "0" else list(net.classes) == names


def test_what_moves_into_place_is_on_the_disk_before(tmp_path, monkeypatch):
    source, target, done = tmp_path / "a", tmp_path / "b", []
    source.write_bytes(b"content")
    for name in ("fsync", "replace"):
        step = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, s=step: (done.append(n), s(*a))[1])
    writing.move_into_place(source, target)
    assert done[:2] == ["fsync", "replace"] and target.read_bytes() == b"content"
