"""What ``fastgd train`` makes of optimizers, schedules, stopping and weights."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fastgd
from fastgd import data
from fastgd.cli import main
from fastgd.cli.optimizing import OFFERED, SETTINGS
from fastgd.rules.optimizers import OPTIMIZERS

SHORT = ["digits", "--hidden=8", "--epochs=2", "--batch-size=20", "--seed=3"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder; return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pets(folder):
    """A table of two classes, one of them rare, and what each row counts."""
    rng = np.random.default_rng(0)
    rows = ["weight,height,times,pet"]
    for i in range(120):
        dog = i % 4 == 0
        weight, height = rng.normal([30, 60] if dog else [12, 35], 8)
        rows.append(f"{weight:.2f},{height:.2f},{1 + i % 3},{'dog' if dog else 'cat'}")
    (folder / "pets.csv").write_text("\n".join(rows) + "\n")
    return "pets.csv"


def run(*args, code=0):
    """Run ``fastgd train``; return its record, or what it says where it refuses."""
    try:
        runner = CliRunner(mix_stderr=False)  # click 8.1
    except TypeError:
        runner = CliRunner()
    more = [] if code else ["--json"]
    result = runner.invoke(main, ["train", *map(str, args), *more])
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    if not code:
        return json.loads(result.stdout)
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.stderr
    return result.stderr


def trained(optimizer, *, sizes=(64, 8, 10), class_weight=None, split=0.0, callbacks=(), **rules):
    """Train through the library what SHORT trains; return the network and its history."""
    digits = data.split(data.load("digits"), 0.2, 3)
    rules = {"activation": "sigmoid", "output": "softmax", "loss": "cross_entropy"} | rules
    net = fastgd.Network(list(sizes), input_scale=1 / 16, seed=3, **rules)
    validation = None if split else (digits.X_test, digits.y_test)
    history = net.fit(
        digits.X, digits.y, epochs=2, batch_size=20, optimizer=optimizer, validation_split=split,
        class_weight=class_weight, validation_data=validation, callbacks=callbacks,
    )  # fmt: skip
    return net, history


def same(record, pair):
    """Check that the command trained what the library trained."""
    net, history = pair
    assert record["history"]["cost"] == history.cost
    model = fastgd.load(record["out"])
    np.testing.assert_array_equal(model.parameters, net.parameters)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    rate = [] if OPTIMIZERS[name].whole else ["--learning-rate=0.01"]
    given = {} if OPTIMIZERS[name].whole else {"learning_rate": 0.01}
    record = run(*SHORT, f"--optimizer={name}", *rate)
    same(record, trained(type(OPTIMIZERS[name])(**given)))
    assert record["optimizer"].startswith(type(OPTIMIZERS[name]).__name__)


def test_rate_left_out_is_the_optimizers_own():
    same(run(*SHORT, "--optimizer=adam"), trained("adam"))
    same(run(*SHORT, "--optimizer=sgd"), trained(fastgd.SGD(0.5)))
    silu = run(*SHORT, "--optimizer=sgd", "--activation=silu")
    same(silu, trained(fastgd.SGD(0.1), activation="silu"))


@pytest.mark.parametrize("name", sorted(set(OFFERED) - {"constant"}))
def test_schedules(name):
    record = run(*SHORT, f"--schedule={name}", "--learning-rate=0.3")
    same(record, trained(fastgd.SGD(OFFERED[name](0.3))))


def test_settings_of_schedules_and_a_warmup():
    record = run(
        *SHORT, "--schedule=cosine", "--learning-rate=0.3", "--minimum=0.1", "--warmup=1",
        "--optimizer=adamw", "--beta1=0.8", "--weight-decay=0.2", "--clip-norm=0.5", "--l1=0.001",
    )  # fmt: skip
    schedule = fastgd.Warmup(epochs=1, then=fastgd.Cosine(0.3, minimum=0.1))
    optimizer = fastgd.AdamW(schedule, beta1=0.8, weight_decay=0.2, clip_norm=0.5, l1=0.001)
    same(record, trained(optimizer))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_goes_with_what_has_it(name):
    """The value of each option reaches the rule that has it, and no other takes it."""
    flag = f"--{name.replace('_', '-')}"
    section, rule, field, default = SETTINGS[name][0]
    value = int(default) + 1 if isinstance(default, int) else (default or 0.1) * 0.9
    given = [flag] if isinstance(default, bool) else [f"{flag}={value!r}"]
    if name == "nesterov":
        given.append("--momentum=0.5")
    record = run(*SHORT, f"--{section.lower()}={rule}", *given)
    shown = "True" if isinstance(default, bool) else repr(value)
    assert f"{field.name}={shown}" in record["optimizer"]
    others = OPTIMIZERS if section == "Optimizer" else OFFERED
    without = next(o for o in others if o not in [s.rule for s in SETTINGS[name]])
    error = run(*SHORT, f"--{section.lower()}={without}", *given[:1], code=2)
    assert f"{flag} goes with" in error and rule in error and without in error


def test_rules_with_parameters():
    record = run(
        *SHORT, "--hidden=6", "--activation=relu,leaky_relu(alpha=0.2)", "--dropout=0,0.1,0.2",
        "--loss=cross_entropy(label_smoothing=0.1)", "--learning-rate=0.1",
    )  # fmt: skip
    net, history = trained(
        fastgd.SGD(0.1), sizes=(64, 8, 6, 10), dropout=[0, 0.1, 0.2],
        activation=["relu", fastgd.LeakyReLU(0.2)], loss=fastgd.CrossEntropy(label_smoothing=0.1),
    )  # fmt: skip
    same(record, (net, history))


@pytest.mark.parametrize(
    ("loss", "output"),
    [("poisson", "exp"), ("hinge", "identity"), ("huber", "identity"), ("focal", "sigmoid")],
)
def test_output_follows_from_the_loss(pets, loss, output):
    task = ["--task=classification", "--target=pet"]
    if loss in ("poisson", "huber"):
        task = ["--target=times", "--task=regression"]
        text = Path(pets).read_text().replace(",dog", "").replace(",cat", "").replace(",pet", "")
        Path(pets).write_text(text)
    record = run(pets, *task, f"--loss={loss}", "--epochs=1")
    assert record["output"] == output


class TestStopping:
    def test_early(self):
        stop = fastgd.EarlyStopping(patience=1)
        record = run(*SHORT, "--early-stopping=1", "--learning-rate=3", "--optimizer=adam")
        same(record, trained(fastgd.Adam(3.0), split=0.1, callbacks=stop))
        assert record["validation_split"] == 0.1

    def test_early_means_early(self):
        record = run("digits", "--epochs=60", "--early-stopping=1", "--learning-rate=2")
        assert record["stop_reason"] == "callback" and record["epochs"] < 60

    def test_share(self):
        sgd = run(*SHORT, "--optimizer=sgd", "--validation-split=0.3")
        same(sgd, trained(fastgd.SGD(0.5), split=0.3))

    def test_time(self):
        record = run("digits", "--epochs=100000", "--time-budget=0.3")
        assert record["stop_reason"] == "callback" and 0 < record["epochs"] < 100000

    def test_log(self, folder):
        record = run(*SHORT, "--log=log.csv")
        lines = (folder / "log.csv").read_text().splitlines()
        assert lines[0].startswith("epoch,cost,") and len(lines) == 3
        assert float(lines[1].split(",")[1]) == record["history"]["cost"][0]


class TestWeights:
    @pytest.mark.parametrize(
        ("given", "weights"),
        [("balanced", "balanced"), ("3=5,0=0.5", {3: 5.0, 0: 0.5})],
    )
    def test_classes(self, given, weights):
        record = run(*SHORT, "--optimizer=sgd", f"--class-weight={given}")
        same(record, trained(fastgd.SGD(0.5), class_weight=weights))

    def test_classes_by_label(self, pets):
        heavy = run(pets, "--target=pet", "--class-weight=dog=100", "--epochs=20")
        light = run(
            pets, "--target=pet", "--class-weight=dog=0.01", "--epochs=20", "--out=b.safetensors"
        )
        assert heavy["history"]["cost"] != light["history"]["cost"]
        table = data.load(pets, target="pet")
        net, other = fastgd.load(heavy["out"]), fastgd.load(light["out"])
        assert net.predict(table.X)[:, 1].mean() > other.predict(table.X)[:, 1].mean()

    def test_rows(self, pets):
        """A row that counts twice is worth two rows."""
        table = data.load(pets, target="pet", sample_weight="times")
        assert table.feature_names == ("weight", "height")
        np.testing.assert_array_equal(table.weights, 1 + np.arange(120) % 3)
        options = ["--target=pet", "--sample-weight=times", "--epochs=3", "--batch-size=200"]
        options.append("--optimizer=sgd")
        record = run(pets, *options, "--holdout=0", "--no-standardize", "--dtype=float64")
        model = fastgd.load(record["out"])
        net = fastgd.Network(
            [2, 100, 2], output="softmax", loss="cross_entropy", seed=0, dtype="float64"
        )
        repeats = table.weights.astype(int)
        net.fit(
            table.X.repeat(repeats, 0), table.y.repeat(repeats), epochs=3, batch_size=300,
            optimizer=fastgd.SGD(0.5),
        )  # fmt: skip
        np.testing.assert_allclose(model.parameters, net.parameters, rtol=1e-6)

    def test_split_keeps_weights_with_their_rows(self, pets):
        table = data.load(pets, target="pet", sample_weight="times")
        part = data.split(table, 0.25)
        for x, weight in zip(part.X, part.weights, strict=True):
            (row,) = np.flatnonzero((x == table.X).all(axis=1))
            assert table.weights[row] == weight


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["digits", "--optimizer=adamm"], "--optimizer must be one of sgd, adam"),
        (["digits", "--schedule=cosin"], "did you mean 'cosine'?"),
        (["digits", "--dropout=1"], "--dropout must be a number at least 0 and below 1; got 1"),
        (["digits", "--dropout=a"], "'a' is not a number"),
        (["digits", "--early-stopping=-1"], "--early-stopping must be an integer at least 1"),
        (["digits", "--early-stopping=1", "--validation-split=0"], "needs rows to watch"),
        (["digits", "--validation-split=1"], "--validation-split must be a number at least 0 and"),
        (["digits", "--time-budget=0"], "--time-budget must be a number above 0; got 0"),
        (["digits", "--checkpoint-seconds=5"], "--checkpoint-seconds needs a file to write"),
        (["digits", "--log=nowhere/log.csv"], "--log: the folder nowhere does not exist"),
        (["digits", "--loss=huber(gamma=1)"], "has no parameter 'gamma'; its parameters are delta"),
        (["digits", "--loss=mse(a=1)"], "it has no parameters"),
        (["digits", "--loss=huber(delta)"], "is not a name with its numbers"),
        (["digits", "--loss=mse,huber"], "are 2 names; give one"),
        (
            ["digits", "--activation=relu,tanh,elu"],
            "--activation must be one activation, or a list",
        ),
        (["digits", "--optimizer=lbfgs", "--learning-rate=1.5"], "--learning-rate must be left"),
        (["digits", "--clip-norm=0"], "--clip-norm must be a number above 0"),
        (["digits", "--warmup=-1"], "--warmup must be a number above 0"),
        (["digits", "--sample-weight=x"], "--weights names a column of a table"),
        (["digits", "--class-weight=12=1"], "no class '12'; classes are 0, 1, 2"),
        (["digits", "--class-weight=1"], "'1' is not a label and its weight"),
        (["digits", "--class-weight=1=-1"], "--class-weight of '1' must be a number at least 0"),
        (["pets.csv", "--target=pet", "--sample-weight=age"], "no weight column 'age'"),
        (["pets.csv", "--target=pet", "--sample-weight=pet"], "is target and weight"),
        (["pets.csv", "--target=pet", "--class-weight=cow=2"], "classes are cat, dog"),
    ],
)
def test_refusals(pets, given, says, folder):
    assert says in run(*given, code=2)
    assert not list(folder.glob("*.safetensors"))


def test_refuses_negative_weights(pets, folder):
    text = (folder / pets).read_text().replace(",2,", ",-2,")
    (folder / pets).write_text(text)
    error = run(pets, "--target=pet", "--sample-weight=times", code=2)
    assert "column 'times': weights must be at least 0 and not all 0; the least is -2" in error
