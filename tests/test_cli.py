"""The command line: what each command prints and writes, and how it refuses."""

from __future__ import annotations

import csv
import gzip
import json
import os
import struct
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd import data
from fastgd.backends import BACKENDS
from fastgd.cli import COMMANDS, main, models

BOOK = ["--hidden=5", "--epochs=2", "--batch-size=10", "--learning-rate=3.0"]
BOOK += ["--activation=sigmoid", "--output=sigmoid", "--loss=quadratic"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder; return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args, code=0):
    """Run a command in this process; return what it printed to stdout and stderr."""
    try:
        runner = CliRunner(mix_stderr=False)  # click 8.1
    except TypeError:
        runner = CliRunner()
    result = runner.invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result.stdout, result.stderr


def run_json(*args):
    """Run a command with --json; return the record, which must be strict JSON."""
    out, err = run(*args, "--json")
    assert err == "" and out.count("\n") == 1
    return strict_json(out)


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def refusal(*args):
    """Return the one line with which a command is refused."""
    out, err = run(*args, code=2)
    assert "Traceback" not in out + err
    assert err.startswith("fastgd: error: ") and err.count("\n") == 1
    return err


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


@pytest.fixture
def houses(folder):
    """A regression whose columns are years, areas and prices: far from 0 and from each other."""
    rng = np.random.default_rng(3)
    year, area = rng.integers(1950, 2020, 400), rng.normal(90, 20, 400)
    price = 1000 * area * (1 + 0.02 * (year - 1950))
    write_csv("houses.csv", ["year", "area", "price"], zip(year, area, price, strict=True))
    return "houses.csv"


@pytest.fixture
def pets(folder):
    """Classes that are words."""
    rng = np.random.default_rng(4)
    rows = [
        [rng.normal(30 * dog + 5, 2), rng.normal(40 * dog + 20, 3), "dog" if dog else "cat"]
        for dog in rng.integers(0, 2, 200)
    ]
    write_csv("pets.csv", ["weight", "height", "pet"], rows)
    return "pets.csv"


def kaggle(name, labelled):
    """Write a file in the layout of Kaggle's digit recognizer: a square per class."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(60):
        image = np.zeros((28, 28), int)
        image[2 * (i % 10) : 2 * (i % 10) + 6, 4:20] = rng.integers(100, 256)
        rows.append([i % 10] * labelled + image.ravel().tolist())
    write_csv(name, ["label"] * labelled + [f"pixel{i}" for i in range(784)], rows)


def idx(folder, prefix, images, labels):
    """Write images (n, h, w) and labels as MNIST's files."""
    folder.mkdir(exist_ok=True)
    head = struct.pack(">4I", 2051, *images.shape)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(head + images.tobytes())
    head = struct.pack(">2I", 2049, len(labels))
    with gzip.open(folder / f"{prefix}-labels-idx1-ubyte.gz", "wb") as file:
        file.write(head + labels.astype(np.uint8).tobytes())


@pytest.fixture
def mnist(folder):
    """A small folder of IDX files with a test part."""
    rng = np.random.default_rng(6)
    images, labels = rng.integers(0, 256, (130, 4, 4), np.uint8), rng.integers(0, 10, 130)
    idx(folder / "mnist", "train", images[:100], labels[:100])
    idx(folder / "mnist", "t10k", images[100:], labels[100:])
    return "mnist"


class TestTrain:
    def test_says_what_it_trains_where_it_goes_and_what_is_next(self):
        out, err = run("train", "digits", "--epochs", 2, "--out", "my model.safetensors")
        assert err == ""
        assert "1,438 images of 8 x 8 pixels, 359 held out, 10 classes" in out
        assert "64-128-128-10: 26,122 weights and biases" in out
        assert "training 2 epochs in batches of 64 with AdamW(" in out
        assert "wrote    my model.safetensors" in out
        assert out.endswith(
            "Next:\n"
            "  fastgd evaluate 'my model.safetensors' digits\n"
            "  fastgd predict 'my model.safetensors' digits --out predictions.csv\n"
            "  fastgd show weights 'my model.safetensors' digits\n"
        )

    def test_says_when_nothing_was_learned(self):
        _, err = run("train", "digits", "--epochs", 10, "--learning-rate", 0)
        assert "it has learned nothing: always saying the commonest class would reach" in err
        assert "fastgd show diagnosis digits.safetensors digits" in err

    def test_says_that_it_replaced_a_model(self):
        for replaced in (False, True):
            out, _ = run("train", "digits", "--epochs", 1)
            said = "wrote    digits.safetensors, in place of the file that was there\n"
            assert (said in out) == replaced
        assert run_json("train", "digits", "--epochs", 1)["replaced"]

    def test_quiet_prints_nothing(self, folder):
        assert run("train", "digits", "--epochs", 1, "--quiet") == ("", "")
        assert (folder / "digits.safetensors").exists()

    @pytest.mark.parametrize(
        ("options", "sizes", "n_parameters"),
        [
            (["--hidden", "16,16"], [64, 16, 16, 10], 1482),
            (["--hidden", "16", "--hidden", "16"], [64, 16, 16, 10], 1482),
            (["--hidden", "none"], [64, 10], 650),
        ],
    )
    def test_hidden_layers(self, options, sizes, n_parameters):
        record = run_json("train", "digits", "--epochs", 1, *options)
        assert record["sizes"] == sizes and record["n_parameters"] == n_parameters

    def test_the_film_s_network_has_13002_parameters(self, folder):
        kaggle("train.csv", True)
        out, _ = run("train", "train.csv", "--hidden", "16,16", "--epochs", 1)
        assert "784-16-16-10: 13,002 weights and biases" in out

    def test_the_book_s_run_is_the_library_s(self, mnist, folder):
        record = run_json("train", mnist, *BOOK, "--seed", 3)
        images = data.load(mnist)
        net = fastgd.Network([16, 5, 10], input_scale=1 / 255, seed=3)
        options = {"epochs": 2, "batch_size": 10, "optimizer": fastgd.SGD(learning_rate=3.0)}
        test = images.X_test, images.y_test
        history = net.fit(images.X, images.y, **options, validation_data=test)
        np.testing.assert_array_equal(fastgd.load("mnist.safetensors").parameters, net.parameters)
        assert record["history"]["cost"] == pytest.approx(history.cost, rel=1e-12)
        assert record["score"] == history.validation_score[-1] and record["n_held_out"] == 30

    def test_every_training_option_reaches_the_library(self):
        options = "--momentum 0.5 --nesterov --l2 0.001 --schedule step --factor 0.5 --every 2"
        more = "--init he_normal --dtype float64 --backend numpy --epochs 3 --learning-rate 0.1"
        record = run_json("train", "digits", *options.split(), *more.split(), "--hidden", 4)
        digits = data.split(data.load_digits())
        rules = {"output": "softmax", "loss": "cross_entropy", "init": "he_normal"}
        rest = {"dtype": "float64", "input_scale": 1 / 16, "seed": 0, "backend": "numpy"}
        net = fastgd.Network([64, 4, 10], **rules, **rest)
        rate = fastgd.Step(0.1, factor=0.5, every=2)
        optimizer = fastgd.SGD(rate, momentum=0.5, nesterov=True, l2=0.001)
        history = net.fit(digits.X, digits.y, epochs=3, batch_size=10, optimizer=optimizer)
        assert record["history"]["cost"] == pytest.approx(history.cost, rel=1e-12)
        assert record["history"]["learning_rate"] == [0.1, 0.1, 0.05]

    def test_the_same_seed_gives_the_same_file(self, folder):
        for name in ("a", "b"):
            run("train", "digits", "--epochs", 2, "--out", name, "-q")
        run("train", "digits", "--epochs", 2, "--seed", 1, "--out", "c", "-q")
        a, b, c = ((folder / name).read_bytes() for name in "abc")
        assert a == b != c

    @pytest.mark.parametrize(
        ("options", "rules"),
        [
            ([], ("softmax", "cross_entropy")),
            (["--loss", "quadratic"], ("sigmoid", "quadratic")),
            (["--output", "sigmoid"], ("sigmoid", "cross_entropy")),
            (["--output", "tanh"], ("tanh", "quadratic")),
        ],
    )
    def test_output_and_loss_follow_from_each_other(self, options, rules):
        record = run_json("train", "digits", "--epochs", 0, *options)
        assert (record["output"], record["loss"]) == rules

    def test_relu_learns_without_further_options(self):
        assert run_json("train", "digits", "--activation", "relu")["score"] > 0.95

    def test_holdout_0_trains_on_all_rows(self):
        record = run_json("train", "digits", "--holdout", 0, "--epochs", 1)
        assert (record["n_train"], record["n_held_out"]) == (1797, 0)
        assert record["scored_on"] == "training" and "validation_score" not in record["history"]

    def test_holdout_leaves_a_test_part_alone(self, mnist):
        record = run_json("train", mnist, "--holdout", 0.25, *BOOK)
        assert (record["n_train"], record["n_held_out"]) == (75, 25)
        assert run_json("evaluate", "mnist.safetensors", mnist)["n_rows"] == 30

    def test_a_table_needs_no_scaling_by_hand(self, houses):
        record = run_json("train", houses, "--target", "price")
        assert record["task"] == "regression" and record["score_name"] == "R^2"
        assert record["score"] > 0.95
        net, rows = fastgd.load("houses.safetensors"), data.load(houses, target="price")
        assert net.score(rows.X, rows.y) > 0.95  # in the table's own units
        held = data.split(rows)
        residual = (net.predict(held.X_test)[:, 0] - held.y_test) / net.output_scale
        assert record["cost"] == pytest.approx(np.mean(residual**2), rel=1e-3)
        assert record["history"]["validation_cost"][-1] == pytest.approx(record["cost"], rel=0.01)

    def test_bytes_need_no_scaling_by_hand(self):
        digits = data.load_digits()
        np.savez("pixels.npz", X=digits.X * 15, y=digits.y)
        record = run_json("train", "pixels.npz", "--epochs", 30)
        assert record["score"] > 0.94 and record["input_scale"] == 1 / 240

    def test_divergence_is_one_line_and_keeps_the_old_model(self, folder):
        (folder / "digits.safetensors").write_text("old")
        options = "--output identity --loss quadratic --activation identity --learning-rate 1e6"
        message = refusal("train", "digits", *options.split())
        assert "learning rate 1e+06; try a learning rate of 0.1 or less" in message
        assert (folder / "digits.safetensors").read_text() == "old"

    def test_an_unfinished_cost_is_null(self, monkeypatch):
        monkeypatch.setattr(fastgd.Network, "loss", lambda *_: float("nan"))
        assert run_json("train", "digits", "--epochs", 1)["cost"] is None


class TestEvaluate:
    def test_prints_the_classes_and_what_they_are_mistaken_for(self, pets):
        run("train", pets, "--target", "pet", "-q")
        out, _ = run("evaluate", "pets.safetensors", pets)
        assert "the 40 rows held out of training" in out and "accuracy 100.00 % (40 of 40)" in out
        assert [line.split()[0] for line in out.splitlines()[-2:]] == ["cat", "dog"]

    def test_uses_the_test_part_or_all_rows_and_says_so(self, mnist):
        run("train", mnist, *BOOK, "-q")
        assert "mnist: the 30 test rows" in run("evaluate", "mnist.safetensors", mnist)[0]
        record = run_json("evaluate", "mnist.safetensors", mnist, "--all")
        assert (record["rows"], record["n_rows"]) == ("all", 130)

    def test_other_rows_under_the_same_name_are_all_used(self, pets):
        run("train", pets, "--target", "pet", "--epochs", 1, "-q")
        write_csv("pets.csv", ["height", "weight", "pet"], [[60, 35, "dog"]] * 200)
        record = run_json("evaluate", "pets.safetensors", pets)
        assert (record["rows"], record["n_rows"]) == ("all", 200)

    def test_columns_are_found_by_name_and_classes_by_label(self, pets):
        run("train", pets, "--target", "pet", "-q")
        rows = [
            ["dog", 60, 35, "x"],
            ["dog", 61, 36, "y"],
        ]  # the second class only, in other places
        write_csv("new.csv", ["pet", "height", "weight", "name"], rows)
        record = run_json("evaluate", "pets.safetensors", "new.csv")
        assert record["score"] == 1 and record["confusion"] == [[0, 0], [0, 2]]

    def test_a_network_saved_from_python(self):
        digits = data.load_digits()
        net = fastgd.Network([64, 10], input_scale=1 / 16, seed=1)
        net.fit(digits.X, digits.y, optimizer="sgd")
        net.save("mine.safetensors")
        record = run_json("evaluate", "mine.safetensors", "digits")
        assert record["score"] == net.score(digits.X, digits.y) and record["rows"] == "all"
        predictions = run_json("predict", "mine.safetensors", "digits")["predictions"]
        assert predictions == net.predict(digits.X).argmax(axis=1).tolist()

    def test_regression(self, houses):
        trained = run_json("train", houses, "--target", "price")
        judged = run_json("evaluate", "houses.safetensors", houses)
        assert judged["score"] == trained["score"] and judged["confusion"] is None
        assert "R^2 0.9" in run("evaluate", "houses.safetensors", houses)[0]


class TestPredict:
    def test_a_kaggle_test_file_becomes_a_submission(self, folder):
        kaggle("train.csv", True)
        kaggle("test.csv", False)
        run("train", "train.csv", "-q")
        out, _ = run("predict", "train.safetensors", "test.csv", "--out", "submission.csv")
        assert out == "wrote submission.csv: 60 rows of test.csv\n"
        lines = (folder / "submission.csv").read_text().splitlines()
        assert lines == ["ImageId,Label", *(f"{i + 1},{i % 10}" for i in range(60))]

    def test_labels_are_those_of_the_training(self, pets):
        run("train", pets, "--target", "pet", "-q")
        write_csv("new.csv", ["height", "weight"], [[20, 5], [60, 35]])
        out, _ = run("predict", "pets.safetensors", "new.csv")
        assert out == "row,prediction\n1,cat\n2,dog\n"
        record = run_json("predict", "pets.safetensors", "new.csv")
        assert record["predictions"] == ["cat", "dog"] and record["out"] is None

    def test_outputs_are_probabilities(self, pets):
        run("train", pets, "--target", "pet", "-q")
        out, _ = run("predict", "pets.safetensors", pets, "--outputs")
        header, *rows = list(csv.reader(out.splitlines()))
        assert header == ["row", "cat", "dog"] and len(rows) == 200
        assert all(float(a) + float(b) == pytest.approx(1) for _, a, b in rows)

    def test_numbers_come_in_the_table_s_units(self, houses):
        run("train", houses, "--target", "price", "-q")
        prices = run_json("predict", "houses.safetensors", houses)["predictions"]
        actual = data.load(houses, target="price").y
        assert np.corrcoef(prices, actual)[0, 1] > 0.98
        assert np.mean(prices) == pytest.approx(np.mean(actual), rel=0.05)

    def test_a_test_part_is_what_is_predicted(self, mnist):
        run("train", mnist, *BOOK, "-q")
        out, _ = run("predict", "mnist.safetensors", mnist, "--out", "p.csv")
        assert out == "wrote p.csv: 30 test rows of mnist\n"


class TestRefusals:
    @pytest.mark.parametrize(
        ("args", "says"),
        [
            ("train", "missing argument 'DATA'"),
            ("trian digits", "did you mean 'train'"),
            ("train digits --hiden 3", "--hidden"),
            ("train nothing.csv", "nothing.csv: no such file"),
            ("train digits --hidden 3x", "'3x' is not a size; give 30, or 16,16"),
            ("train digits --hidden 0", "'0' is not a size"),
            ("train digits --learning-rate -1", "--learning-rate must be a number at least 0"),
            ("train digits --epochs -1", "--epochs must be an integer at least 0; got -1"),
            ("train digits --batch-size 0", "--batch-size must be an integer at least 1"),
            ("train digits --seed -1", "--seed must be"),
            ("train digits --momentum 1", "--momentum must be a number at least 0 and below 1"),
            ("train digits --holdout 1", "--holdout must be a number at least 0 and below 1"),
            ("train digits --nesterov", "nesterov=True needs a momentum above 0"),
            ("train digits --activation sigmod", "did you mean 'sigmoid'"),
            ("train digits --output softmx", "did you mean 'softmax'"),
            ("train digits --loss quadrat", "did you mean 'quadratic'"),
            (
                "train digits --output tanh --loss cross_entropy",
                "goes with output softmax, sigmoid",
            ),
            ("train digits --init norml", "did you mean 'normal'"),
            ("train digits --dtype float16", "--dtype must be one of float32, float64"),
            ("train digits --backend numbba", "did you mean 'numba'"),
            ("train digits --schedule stepp", "did you mean 'step'"),
            ("train digits --decay 0.5", "--decay goes with --schedule exponential"),
            ("train digits --task regression", "holds images of classes"),
            ("train digits --target y", "--target is for tables"),
            ("train digits --out nowhere/model", "there is no folder nowhere"),
            ("train digits --out .", ". is a folder; name a file in it"),
            (
                "train digits --hidden 100000000000",
                "parameters, which need 27,939.7 GiB; this machine has",
            ),
            ("evaluate nothing digits", "nothing: no such file"),
            ("evaluate . digits", "is a folder"),
            ("evaluate digits digits.safetensors", "the model comes first"),
            ("predict nothing digits", "nothing: no such file"),
            ("info nothing", "nothing: no such file"),
            ("bench --workload niels", "did you mean 'nielsen'"),
            ("bench --rival torhc", "did you mean 'torch'"),
            ("bench --mnist nowhere", "got nowhere"),
            ("bench --repeats 0", "--repeats must be an integer at least 1"),
            ("bench --seconds 0", "--seconds must be a number above 0"),
        ],
    )
    def test_are_one_line_that_names_what_is_wrong(self, args, says):
        assert says in refusal(*args.split())

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("a,b,y\n1,2,0\n3,4\n", "line 3: 2 cells where the header names 3 columns"),
            ("a,b\n1,2\n", "name the target column"),
            ("a,y\n1,5\n2,5\n", "every row has the same class"),
            ("", "the file is empty"),
        ],
    )
    def test_of_tables(self, save, content, says):
        assert says in refusal("train", save(content, "table.csv"))

    def test_of_a_missing_target(self, houses):
        assert "no target column 'prize'; did you mean 'price'" in refusal(
            "train", houses, "--target", "prize"
        )

    def test_of_truncated_images(self, mnist, folder):
        images = folder / "mnist" / "train-images-idx3-ubyte"
        images.write_bytes(images.read_bytes()[:200])
        assert "truncated; expected 1,600 bytes" in refusal("train", mnist)

    def test_of_files_that_are_no_models(self, save, houses, folder):
        assert "not a safetensors file" in refusal("evaluate", houses, "digits")
        from safetensors.numpy import save_file

        save_file({"a": np.zeros(3)}, folder / "other.safetensors")
        assert "not a network fastgd wrote" in refusal("predict", "other.safetensors", "digits")

    def test_of_data_that_does_not_fit_the_model(self, mnist):
        run("train", mnist, *BOOK, "-q")
        for command in ("evaluate", "predict"):
            message = refusal(command, "mnist.safetensors", "digits")
            assert "digits: has 64 columns of inputs; the model takes 16" in message

    def test_an_output_that_would_destroy_the_input(self, houses, folder):
        before = (folder / houses).read_bytes()
        assert "is what is being read" in refusal(
            "train", houses, "--target", "price", "--out", f"./{houses}"
        )
        run("train", houses, "--target", "price", "--epochs", 1, "-q")
        for out in (houses, "houses.safetensors"):
            assert "is what is being read" in refusal(
                "predict", "houses.safetensors", houses, "--out", out
            )
        assert (folder / houses).read_bytes() == before

    def test_an_output_among_the_data(self, mnist, folder, monkeypatch):
        """In the folder that is read, through a link, or in the folder that `mnist` means."""
        (folder / mnist).rename(folder / "images")
        images = folder / "images" / "train-images-idx3-ubyte"
        (folder / "link").symlink_to(images)
        before = images.read_bytes()
        monkeypatch.setenv("FASTGD_MNIST", str(folder / "images"))
        for out in ("images/new.safetensors", "link"):
            for source in ("images", "mnist"):
                said = refusal("train", source, "--out", out)
                assert "lies in the folder that is being read; name a file elsewhere" in said
        assert "link lies in the folder" in refusal("train", "images", "--log", "link")
        monkeypatch.chdir("images")
        assert "lies in the folder" in refusal("train", ".", "--epochs", 1)
        assert images.read_bytes() == before

    def test_a_number_too_large_for_float32(self, folder):
        rows = [f"{i % 7},{i % 5},{'xy'[i % 2]}\n" for i in range(40)]
        (folder / "fine.csv").write_text("a,b,kind\n" + "".join(rows))
        rows[3] = "-1e308,2,y\n"
        (folder / "large.csv").write_text("a,b,kind\n" + "".join(rows))
        where = "large.csv, line 5, column 'a': -1e+308 is too large for float32; "
        train = ["train", "large.csv", "--target", "kind", "--epochs", "1", "-q"]
        assert where + "--dtype float64 holds it" in refusal(*train)
        fine = ["train", "fine.csv", "--target", "kind", "--epochs", "1", "-q"]
        assert where + "--dtype float64 holds it" in refusal(*fine, "--test", "large.csv")
        run(*fine)
        for command in ("predict", "evaluate"):
            said = refusal(command, "fine.safetensors", "large.csv")
            assert where + "train with --dtype float64" in said

    def test_a_log_that_would_destroy_the_data(self, houses, folder):
        before = (folder / houses).read_bytes()
        for log in (houses, "houses.safetensors"):
            about = ["train", houses, "--target", "price", "--log", log]
            assert "is what is being read" in refusal(*about)
        assert (folder / houses).read_bytes() == before

    @pytest.mark.skipif(sys.platform == "win32", reason="no permissions")
    def test_a_model_that_is_read_only(self, folder, monkeypatch):
        (folder / "digits.safetensors").write_text("old")
        (folder / "digits.safetensors").chmod(0o444)
        monkeypatch.setattr(fastgd.Network, "fit", None)  # must not be reached
        assert "is read-only; what was there is as it was" in refusal("train", "digits")

    @pytest.mark.parametrize(
        "notes", [{"feature_names": "3"}, {"class_names": "[" * 3000}, {"feature_names": "[1]"}]
    )
    def test_a_model_with_notes_of_a_stranger(self, notes):
        run("train", "digits", "--epochs", 1, "-q")
        net = fastgd.load("digits.safetensors")
        net.notes |= notes
        net.save("digits.safetensors")
        assert "must be a list of texts" in refusal("evaluate", "digits.safetensors", "digits")

    @pytest.mark.skipif(sys.platform == "win32", reason="no device files")
    @pytest.mark.parametrize("option", ["--log", "--checkpoint"])
    def test_a_device_is_no_place_for_what_grows(self, option):
        for path in (os.devnull, "/dev/stdout"):
            assert "is not a regular file" in refusal("train", "digits", option, path)

    @pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc here")
    def test_why_nothing_can_be_written(self, folder):
        for path, why in {
            "/proc/x": "/proc/x cannot be written: no files can be made in /proc",
            "/dev/fd/77": "/dev/fd/77 cannot be written: it is closed, or only to be read",
            "nowhere/x": "nowhere/x cannot be written: there is no folder nowhere",
            "": "must be the name of a file; got ''",
        }.items():
            assert why in refusal("train", "digits", "--out", path)

    def test_a_checkpoint_made_with_other_callbacks(self):
        command = ["train", "digits", "--epochs", 1, "-q", "--checkpoint", "c", "--optimizer=sgd"]
        run(*command, "--log", "log.csv")
        assert "what callbacks keep is --log there and none here" in refusal(*command)

    def test_a_log_in_the_checkpoint(self):
        said = refusal("train", "digits", "--log", "one", "--checkpoint", "one")
        assert "--checkpoint: one is what is being read; name another file" in said

    def test_a_folder_that_cannot_be_written(self, folder, monkeypatch):
        def fails(*args, **kwargs):
            raise PermissionError(13, "Permission denied", "x")

        monkeypatch.setattr(models.tempfile, "TemporaryFile", fails)
        monkeypatch.setattr(fastgd.Network, "fit", None)  # must not be reached
        assert "model cannot be written: Permission denied" in refusal(
            "train", "digits", "--out", "model"
        )

    def test_a_bug_is_one_line_too_and_debug_shows_it(self, monkeypatch):
        def bug(*args, **kwargs):
            raise KeyError("oops")

        monkeypatch.setattr(fastgd.Network, "fit", bug)
        _, err = run("train", "digits", code=1)
        assert err.count("\n") == 1 and "a bug in fastgd" in err
        result = CliRunner().invoke(main, ["train", "digits", "--debug"])
        assert isinstance(result.exception, KeyError)
        result = CliRunner(env={"FASTGD_DEBUG": "1"}).invoke(main, ["train", "digits"])
        assert isinstance(result.exception, KeyError)

    def test_ctrl_c_before_the_training(self, monkeypatch, folder):
        def stop(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(data, "load", stop)
        assert run("train", "digits", code=130)[1].strip() == "fastgd: interrupted"
        assert not (folder / "digits.safetensors").exists()


class TestInfo:
    def test_tells_backends_and_why_not(self, monkeypatch):
        out, _ = run("info")
        assert fastgd.__version__ in out and "numpy       works" in out
        record = run_json("info")
        assert set(record["backends"]) == set(BACKENDS) and record["fastgd"] == fastgd.__version__

    def test_describes_a_model(self):
        run("train", "digits", "--hidden", "16,12", "--epochs", 1, "--optimizer", "sgd", "-q")
        out, _ = run("info", "digits.safetensors")
        layers = [line.split() for line in out.splitlines() if line[:1].isdigit()]
        assert layers == [
            ["1", "64", "16", "sigmoid", "1,040"],
            ["2", "16", "12", "sigmoid", "204"],
            ["3", "12", "10", "softmax", "130"],
        ]
        record = run_json("info", "digits.safetensors")
        assert record["sizes"] == [64, 16, 12, 10] and record["notes"]["data"] == "digits"

    @pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
    def test_help_fits_a_terminal_and_gives_an_example(self, command):
        out, _ = run(*command, "--help")
        assert max(map(len, out.splitlines())) <= 80
        assert "Example" in out or "Begin with" in out

    def test_without_arguments_it_shows_its_help(self):
        assert run()[0] == run("--help")[0]

    def test_version(self):
        assert run("--version")[0] == f"fastgd {fastgd.__version__}\n"
