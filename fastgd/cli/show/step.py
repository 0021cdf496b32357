"""Pictures of one step: a descent, one update, the nudges, the activation functions."""

from __future__ import annotations

from typing import Any

from fastgd import plot
from fastgd.cli.options import option
from fastgd.cli.show.formula import FUNCTIONS, formula
from fastgd.cli.show.picture import MODEL_DATA, NOTHING, Asked, Drawn, fields, integer, picture
from fastgd.descent import show as written
from fastgd.errors import SettingError

__all__ = ["activations", "descent", "nudges", "update"]

RATES = (0.01, 0.1, 0.9, 1.1)


def _rate(section: str, what: str) -> Any:
    return option(section, "--learning-rate", type=float, default=0.1, show_default=True,
                  metavar="RATE", help=what)  # fmt: skip


@picture(
    "descent", NOTHING,
    option("Descent", "--function", metavar="FORMULA", default="(w-3)**2", show_default=True,
           help="The cost, a formula in w, or in w[0] and w[1]."),
    option("Descent", "--start", metavar="W", default="0", show_default=True,
           help="Where to begin: a number, or two with a comma."),
    option("Descent", "--learning-rate", type=float, multiple=True, metavar="RATE", default=RATES,
           show_default="0.01, 0.1, 0.9, 1.1", help="The step size; give several to compare them."),
    option("Descent", "--steps", type=int, default=20, show_default=True,
           help="How many steps at most."),
    examples=("descent",
              'descent --function "w**4 - 3*w**2 + w" --start 2 --learning-rate 0.02',
              'descent --function "w[0]**2 + 10*w[1]**2" --start 4,1 --learning-rate 0.05'),
    notes=f"Formulas have numbers, w, pi, e, + - * / ** and {', '.join(FUNCTIONS)}.",
)  # fmt: skip
def descent(
    ask: Asked, function: str, start: str, learning_rate: tuple[float, ...], steps: int
) -> Drawn:
    """Go down a curve step by step, and say what became of it.

    The step is the learning rate times the slope. Too small, and it takes for ever; too large,
    and it jumps over the minimum, or away.
    """
    point = _numbers(start)
    where = written(point)
    short = function if len(function) <= 40 else f"{function[:37]}..."
    display = plot.DescentDisplay.from_function(
        formula(function, len(point)), point[0] if len(point) == 1 else point,
        learning_rate=learning_rate, steps=steps,
        title=f"Gradient descent on C(w) = {short}, from w = {where}",
    )  # fmt: skip
    descents = display.descents
    ask.say(f"C(w) = {function}, from w = {where}\n")
    if len(descents) == 1:
        ask.say(f"{descents[0]}")
    else:
        rows = [
            [f"{d.learning_rate:g}", str(len(d.updates)), written(d.path[-1]),
             written(d.costs[-1]), d.verdict]
            for d in descents
        ]  # fmt: skip
        ask.table(["learning rate", "steps", "w at the end", "C(w)", "verdict"], rows)
        ask.say()
        for d in descents:
            ask.say(f"{d.learning_rate:g}  {d.verdict}: {d.reason}")
    told = ("learning_rate", "verdict", "reason", "path", "costs", "slopes", "updates")
    record = {"function": function, "start": point}
    return display, {**record, "descents": [fields(d, *told) for d in descents]}


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2:
        raise SettingError("start", f"must be a number, or two with a comma; got {text!r}")
    return numbers


@picture(
    "update", MODEL_DATA,
    integer("Weight", "--example", default=0, help="Which test example, from 0."),
    integer("Weight", "--layer", help="From 0; the output layer by default."),
    integer("Weight", "--from", "i", help="The input or unit the weight comes from; by default "
            "where the step is largest."),
    integer("Weight", "--to", "j", help="The unit the weight goes to; by default where the step "
            "is largest."),
    _rate("Weight", "The step size."),
    examples=("update", "update digits.safetensors digits --layer 0 --from 19 --to 7"),
)  # fmt: skip
def update(
    ask: Asked, example: int, layer: int | None, i: int | None, j: int | None, learning_rate: float
) -> Drawn:
    """Take apart one weight's update: the chain of slopes that multiply to it.

    Slope of the cost, slope of the activation, value that feeds in: what backpropagation does.
    """
    about = ask.subject
    n = len(about.X_test)
    if not 0 <= example < n:
        raise SettingError("example", f"must be from 0 to {n - 1}, of {about.rows}; got {example}")
    x, y = about.X_test[example], about.y_test[example]
    display = plot.UpdateDisplay.from_network(
        about.network, x, y, layer=layer, i=i, j=j, learning_rate=learning_rate, **about.names
    )
    told = display.told
    ask.say(f"example  {example}, its target {about.true(example)}\n")
    ask.say(f"{told}")
    return display, {
        "example": example, "layer": told.layer, "from": told.i, "to": told.j,
        "weight": told.weight,
        "factors": [fields(factor, "symbol", "meaning", "value") for factor in told.factors],
        "contributions": [fields(c, "unit", "weight", "delta", "value")
                          for c in told.contributions],
        **fields(told, "slope", "kernel_slope", "learning_rate", "update", "new_weight"),
    }  # fmt: skip


@picture(
    "nudges", MODEL_DATA,
    integer("Nudges", "--top", default=20, help="How many weights to name."),
    _rate("Nudges", "The step size the nudges are for."),
    examples=("nudges", "nudges digits.safetensors digits --top 10 --learning-rate 3"),
)  # fmt: skip
def nudges(ask: Asked, top: int, learning_rate: float) -> Drawn:
    """Say which weights should increase or decrease to lower the cost, and how much.

    The gradient is that of the cost over the training examples.
    """
    about = ask.subject
    display = plot.NudgesDisplay.from_network(
        about.network, about.X, about.y, top=top, learning_rate=learning_rate, **about.names
    )
    told = display.told
    ask.say(f"\n{told}")
    counts = {
        band: {"stay": up} if band == "not at all" else {"increase": up, "decrease": down}
        for band, (up, down) in told.counts.items()
    }
    largest = [
        {**fields(t, "index", "name", "layer"), "from": t.i, "to": t.j,
         **fields(t, "value", "slope", "update", "band", "direction", "share")}
        for t in told.top
    ]  # fmt: skip
    return display, {
        "cost": told.cost, "gradient_length": told.length, "learning_rate": learning_rate,
        "counts": counts, "top": largest,
        "predictions": [fields(p, "step_size", "predicted", "true") for p in told.predictions],
    }  # fmt: skip


@picture("activations", NOTHING, examples=("activations --out activations.svg",))
def activations(ask: Asked) -> Drawn:
    """Draw the activation functions, each with its slope.

    Where the slope is near 0 the unit hardly learns: backpropagation multiplies by it.
    """
    display = plot.ActivationsDisplay.from_function()
    steepest = {name: float(slope.max()) for name, slope in display.slopes.items()}
    rows = [[name, f"{slope:g}"] for name, slope in steepest.items()]
    ask.table(["activation", "steepest slope"], rows)
    return display, {"steepest_slope": steepest}
