"""Pictures of where training begins: three starts, the size of weights, gradients that vanish."""

from __future__ import annotations

from typing import Any

from fastgd import data as sources
from fastgd import explain, plot
from fastgd.cli.options import option
from fastgd.cli.progress import Epochs, moving_bar
from fastgd.cli.show.lesson import lesson_options
from fastgd.cli.show.picture import DATA, MODEL_DATA, NOTHING, Asked, Drawn, fields, picture
from fastgd.cli.show.subject import BATCH_SIZE, HIDDEN, RATE
from fastgd.errors import SettingError
from fastgd.rules.optimizers import SGD

__all__ = ["gradients", "spread", "start"]


def _number(section: str, name: str, default: float, **options: Any) -> Any:
    return option(section, name, type=type(default), default=default, show_default=True, **options)


@picture(
    "start", MODEL_DATA,
    _number("Training", "--epochs", 30),
    _number("Training", "--batch-size", BATCH_SIZE),
    option("Training", "--learning-rate", type=float, metavar="NUMBER",
           help=f"[default: {RATE:g} without a MODEL, else what suits most]"),
    _number("Training", "--constant", 0.1,
            help="The value of all parameters in the constant start."),
    _number("Training", "--seed", 0),
    examples=("start",
              "start model.safetensors data.csv --learning-rate 0.1 --out start.svg"),
)  # fmt: skip
def start(
    ask: Asked,
    epochs: int,
    batch_size: int,
    learning_rate: float | None,
    constant: float,
    seed: int,
) -> Drawn:
    """Train from three starts: all parameters zero, all one value, and random.

    Hidden units that start alike get the same gradient, so they stay copies of each other and the
    layer is worth one unit. That is why weights are random. A MODEL gives its settings only.
    """
    network: Any
    if ask.model is not None:
        network, X, y = ask.subject.network, ask.subject.X, ask.subject.y
        rate = ask.subject.rate(learning_rate)
    else:  # a network that is trained already would be work for nothing
        digits = sources.split(sources.load("digits"), seed=0)
        sizes = [digits.n_features, HIDDEN, digits.n_classes]
        words = "-".join(map(str, sizes))
        ask.say(f"network  {words} on the digits (give MODEL DATA for your own)")
        network, X, y = {"sizes": sizes, "input_scale": digits.input_scale}, digits.X, digits.y
        rate = RATE if learning_rate is None else learning_rate
    display = plot.StartsDisplay.from_network(
        network, X, y, epochs=epochs, batch_size=batch_size, optimizer=SGD(rate), constant=constant,
        seed=seed,
    )  # fmt: skip
    ask.say(str(display.starts))
    ask.say("copies in one layer get the same gradient: only random weights part them")
    found = display.starts.starts
    return display, {
        "starts": {s.name: fields(s, "cost", "score", "units", "distinct") for s in found}
    }


@picture(
    "spread", NOTHING,
    option("Measurement", "--n-ins", metavar="N,N,...", default="10,30,100,300,1000",
           show_default=True, help="Numbers of inputs."),
    option("Measurement", "--activation", default="sigmoid", show_default=True, help="Or tanh."),
    _number("Measurement", "--seed", 0),
    examples=("spread",
              "spread --n-ins 10,100,1000,10000 --activation tanh --out spread.svg"),
)  # fmt: skip
def spread(ask: Asked, n_ins: str, activation: str, seed: int) -> Drawn:
    """Measure how far z spreads in new networks whose weights are of scale 1 or 1/sqrt(n_in).

    With scale 1 z grows like sqrt(n_in), and a unit with many inputs is saturated before training
    begins; with 1/sqrt(n_in) it stays at 1.
    """
    try:
        numbers = [int(n) for n in n_ins.split(",")]
    except ValueError:
        problem = f"must be integers with commas between; got {n_ins!r}"
        raise SettingError("n_ins", problem) from None
    found = explain.start.spread_of_z(numbers, activation=activation, seed=seed)
    ask.say(str(found))
    display = plot.SpreadDisplay(spread=found).plot()
    return display, fields(found, "n_ins", "spread", "theory", "saturated")


@picture(
    "gradients", (*DATA, *lesson_options(hidden="30,30,30,30", epochs=20,
                                         rate="0.1, or 0.02 for numbers")),
    examples=("gradients --hidden 30,30,30,30,30",),
)  # fmt: skip
def gradients(ask: Asked, **given: Any) -> Drawn:
    """Draw the gradient's size in each layer as a sigmoid and a relu network learn DATA.

    On its way back through a sigmoid layer the gradient is multiplied by slopes of at most 1/4:
    the first layers of a deep network hardly move. DATA is 'digits' where none is given.
    """
    lessons = {name: ask.lesson(given, activation=name) for name in ("sigmoid", "relu")}
    networks = {name: lesson.network for name, lesson in lessons.items()}
    about = lessons["relu"]  # what rate suits it both can bear
    with moving_bar(ask) as move:
        display = plot.GradientsDisplay.from_network(
            networks, about.X, about.y, callbacks=Epochs(move, len(networks) * about.epochs),
            **about.training(),
        )  # fmt: skip
    for name, found in display.gradients.items():
        ask.say(f"\n{name}\n{found}")
    numbers = display.gradients.items()
    return display, {name: fields(found, "norms", "ratio", "scores") for name, found in numbers}
