"""What holds for every picture of ``fastgd show``: it is drawn, says its numbers, refuses slips."""

from __future__ import annotations

import inspect
import json
import sys

import click
import pytest
from click.testing import CliRunner

import fastgd
from fastgd import plot
from fastgd.cli import main
from fastgd.cli.show import PICTURES, show

#: Options that make a picture quick to draw, where it has them.
QUICK = {"--epochs": "2", "--points": "10", "--steps": "5"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder, which the pictures are written to."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    """Run the command; return what it prints, or raise what it raises."""
    result = CliRunner().invoke(main, ["show", *arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout


def default_out(picture: str) -> str:
    command = show.get_command(click.Context(show), picture)
    return next(p.default for p in command.params if p.name == "out")


def quick(picture: str) -> list[str]:
    command = show.get_command(click.Context(show), picture)
    has = {option for parameter in command.params for option in parameter.opts}
    return [word for option, value in QUICK.items() if option in has for word in (option, value)]


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_needs_no_argument(folder, picture):
    said = run(picture)
    out = default_out(picture)
    assert (folder / out).stat().st_size > 1000
    assert out in said.rstrip().splitlines()[-1], "it says where the picture is"
    assert len(said.splitlines()) > 1, "its numbers are told in words, too"


@pytest.mark.slow
@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_as_json_and_svg_on_dark(folder, picture):
    out = "a.html" if default_out(picture).endswith(".gif") else "a.svg"
    said = run(picture, "--out", out, "--dark", "--json", *quick(picture))
    record = json.loads(said)
    assert record["command"] == f"show {picture}" and record["picture"] == out
    assert len(record) > 2, "its numbers are there"
    assert "<svg" in (folder / out).read_text() or out.endswith(".html")


@pytest.mark.parametrize("picture", PICTURES)
def test_every_help_page_has_an_example(picture):
    assert f"fastgd show {picture}" in run(picture, "--help")


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("out", ["a.bmp", "missing/a.png", "."])
def test_a_bad_name_is_refused_before_any_work(folder, picture, out):
    with pytest.raises(click.UsageError, match=r"must end in|there is no folder|is a folder"):
        run(picture, "--out", out)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("picture", PICTURES)
def test_without_matplotlib_the_numbers_are_told(folder, picture, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = CliRunner().invoke(main, ["show", picture, *QUICK.get(picture, [])])
    assert 'pip install "fastgd[plot]"' in result.stderr
    assert result.exit_code == 0, result.output
    assert any(letter.isdigit() for letter in result.stdout), "its numbers are told"
    assert not list(folder.iterdir())


def test_an_unknown_picture_is_told():
    with pytest.raises(click.UsageError, match="did you mean 'activations'"):
        run("activation")


@pytest.mark.parametrize("name", plot.DISPLAYS)
def test_every_display_is_where_it_is_said_to_be(name):
    assert getattr(fastgd.plot, name).__name__ == name


@pytest.mark.parametrize("name", plot.DISPLAYS)
def test_every_display_has_the_same_manner(name):
    display = getattr(plot, name)
    numbers = list(inspect.signature(display.__init__).parameters.values())[1:]
    assert {p.kind for p in numbers} == {inspect.Parameter.KEYWORD_ONLY}, "computed, by keyword"
    assert list(inspect.signature(display.plot).parameters) == ["self", "ax"]
    makers = {n for n in dir(display) if n.startswith("from_")}
    assert makers <= {"from_network", "from_history", "from_function"}
    for maker in makers:
        assert inspect.signature(getattr(display, maker)).parameters["ax"].default is None
    if "from_network" in makers:
        parameters = inspect.signature(display.from_network).parameters.values()
        given = [p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        assert [p.lower() for p in given] in (["network"], ["network", "x"], ["network", "x", "y"])


def test_explain_shows_its_modules_and_nothing_else():
    assert dir(fastgd.explain) == sorted(fastgd.explain.__all__)
    for name in fastgd.explain.__all__:
        assert getattr(fastgd.explain, name).__name__ == f"fastgd.explain.{name}"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fastgd.explain.nothing  # noqa: B018
