"""What a fit does where nothing is said."""

import numpy as np
import pytest
from sklearn import datasets

import fastgd
from fastgd.recipe import choose


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


class TestChoose:
    def test_few_rows_are_seen_often_in_small_batches_under_strong_decay(self):
        few, many = (choose("numbers", n, 10, 1) for n in (300, 50_000))
        assert few.epochs > many.epochs
        assert few.batch_size < many.batch_size
        assert few.optimizer.weight_decay > many.optimizer.weight_decay > 0

    @pytest.mark.parametrize("task", ["classes", "numbers"])
    @pytest.mark.parametrize("n_rows", [1, 100, 10_000, 10_000_000])
    def test_every_recipe_makes_a_network(self, task, n_rows):
        recipe = choose(task, n_rows, 7, 3)
        net = fastgd.Network(recipe.sizes, **recipe.rules, seed=1)
        assert net.sizes == [7, *recipe.hidden, 3]
        assert recipe.epochs >= 1
        assert net.architecture.loss.classifies == (task == "classes")

    def test_says_itself_in_one_line(self):
        line = str(choose("classes", 400, 7, 3))
        assert "\n" not in line
        assert "128 and 128 relu units" in line
        assert "AdamW" in line

    def test_refuses_an_unknown_task(self):
        with pytest.raises(ValueError, match="task must be one of classes, numbers; got 'ranks'"):
            choose("ranks", 400, 7, 3)


class TestFit:
    @pytest.mark.parametrize("seed", range(5))
    def test_numbers_are_learned_whatever_the_seed(self, seed):
        X, y = datasets.load_diabetes(return_X_y=True)
        X, y = standardised(X), standardised(y)
        net = fastgd.Network([10, 100, 1], output="identity", loss="mse", seed=seed)
        net.fit(X[:350], y[:350], verbose=False)
        assert net.score(X[350:], y[350:]) > 0.4

    @pytest.mark.parametrize("task", ["classes", "numbers"])
    def test_what_was_not_said_is_the_recipes(self, task):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((200, 4)), rng.integers(0, 2, 200)
        rules = {"output": "softmax", "loss": "cross_entropy"}
        if task == "numbers":
            rules, y = {"output": "identity", "loss": "mse"}, X[:, :2]
        silent, said = (fastgd.Network([4, 5, 2], **rules, seed=1) for _ in range(2))
        recipe = choose(task, 200, 4, 2)
        history = silent.fit(X, y, verbose=False)
        assert history.epochs == recipe.epochs
        said.fit(
            X, y, epochs=recipe.epochs, batch_size=recipe.batch_size, optimizer=recipe.optimizer,
            standardize=recipe.standardize,
        )  # fmt: skip
        np.testing.assert_array_equal(silent.parameters, said.parameters)

    def test_what_was_said_stays(self, capsys):
        X, y = np.eye(4), np.array([0, 1, 0, 1])
        net = fastgd.Network([4, 5, 2], output="softmax", loss="cross_entropy", seed=1)
        assert net.fit(X, y, epochs=3, batch_size=2).epochs == 3
        line = capsys.readouterr().out
        assert line.startswith("3 epochs in batches of 2 with AdamW(")
        assert line.count("\n") == 1

    def test_an_optimizer_alone_means_plain_defaults(self, capsys):
        X, y = np.eye(4), np.array([0, 1, 0, 1])
        silent, said = (fastgd.Network([4, 5, 2], seed=1) for _ in range(2))
        silent.fit(X, y, optimizer="sgd")
        said.fit(X, y, optimizer=fastgd.SGD(0.1), epochs=10, batch_size=32)
        np.testing.assert_array_equal(silent.parameters, said.parameters)
        assert not capsys.readouterr().out

    def test_chunks_are_learned_without_an_optimizer(self):
        X = np.linspace(-1, 1, 64).reshape(32, 2)
        net = fastgd.Network([2, 5, 1], output="identity", loss="mse", seed=1)
        before = net.loss(X, X[:, :1])
        net.fit(lambda: iter([(X[:16], X[:16, :1]), (X[16:], X[16:, :1])]), verbose=False)
        assert net.loss(X, X[:, :1]) < before
