"""A film of a training: the cost, the weights as images, and a few predictions as it learns."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgd.errors import SettingError
from fastgd.explain.confusion import name_classes
from fastgd.explain.names import names_for
from fastgd.explain.recording import Recording, record
from fastgd.plot.display import FORMATS, Display, check_format
from fastgd.plot.mistakes import check_image_shape, draw_image, short
from fastgd.plot.player import html_player
from fastgd.plot.settle import settle
from fastgd.plot.style import DPI, matplotlib, palette
from fastgd.plot.units import diverging, shorten
from fastgd.writing import write_whole

if TYPE_CHECKING:
    from fastgd.network import Network
    from fastgd.rules.optimizers import Optimizer

__all__ = ["FILM_FORMATS", "TrainingAnimation"]

Array = np.ndarray

FILM_FORMATS = (".gif", ".html", *FORMATS)
#: How long a frame is seen, and the last, in milliseconds.
FRAME_MS, LAST_MS = 120, 2500
#: Colours in a frame, all that GIF has.
COLORS = 256
METHOD = 1  # Pillow's MAXCOVERAGE: keeps the background and the ends of colour maps
#: Pixels of weights in a frame; of larger images fewer units are shown.
WEIGHT_PIXELS = 12_000
#: Columns in the map of weights where inputs are no image.
MOST_UNITS = 30
MOST_CLASSES = 20
#: Inputs that are named beside it.
MOST_NAMES = 20


class TrainingAnimation(Display):
    """A network as it learns, frame by frame.

    Costs on all training and validation examples so far; the weights into the first layer's units,
    each drawn as an image where inputs are images; what it makes of a few validation examples.

    Parameters
    ----------
    recording : Recording
    image_shape : (height, width) or None
        None where inputs are no images.
    class_names : tuple of str
    feature_names : tuple of str, optional
        What the inputs are called, where they are no images.
    frame : int, default -1
        Which frame is drawn.

    Attributes
    ----------
    recording, image_shape, class_names, feature_names, frame
        As given.

    Examples
    --------
    >>> import fastgd
    >>> from fastgd.plot import TrainingAnimation
    >>> digits = fastgd.data.load("digits")
    >>> net = fastgd.Network([64, 30, 10], input_scale=digits.input_scale, seed=0)
    >>> film = TrainingAnimation.from_network(
    ...     net, digits.X, digits.y, image_shape=digits.image_shape, optimizer=fastgd.SGD(3.0)
    ... )  # doctest: +SKIP
    >>> film.save("training.gif")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        recording: Recording,
        image_shape: tuple[int, ...] | None,
        class_names: Sequence[str],
        feature_names: Sequence[str] | None = None,
        frame: int = -1,
    ):
        self.recording, self.image_shape = recording, image_shape
        self.class_names, self.frame = tuple(class_names), frame
        self.feature_names = None if feature_names is None else tuple(feature_names)

    @classmethod
    def from_network(
        cls,
        network: Network,
        X: Any,
        y: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        class_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        validation_data: tuple[Any, Any] | None = None,
        epochs: int = 30,
        batch_size: int = 10,
        optimizer: str | Optimizer = "sgd",
        callbacks: Any = (),
        ax: Any = None,
    ) -> TrainingAnimation:
        """Train a copy of the network, keep its moments, and draw the last; `save` makes the film.

        Classes only, 20 at most. See `fastgd.explain.recording.record` for the other arguments.
        """
        n_classes = max(2, network.architecture.n_outputs)
        if n_classes > MOST_CLASSES:
            raise ValueError(
                f"a film of the training shows at most {MOST_CLASSES} classes; the network has "
                f"{n_classes:,} (CurvesDisplay.from_history shows its cost)"
            )
        names = name_classes(class_names, n_classes, network)
        shape = check_image_shape(image_shape, network.architecture.n_inputs)
        if shape is not None and len(shape) != 2:
            raise SettingError(
                "image_shape", f"must be (height, width) for a film; got {image_shape}"
            )
        units = max(4, WEIGHT_PIXELS // network.architecture.n_inputs)
        film = record(
            network, X, y, validation_data=validation_data, epochs=epochs, batch_size=batch_size,
            optimizer=optimizer, n_units=min(units, MOST_UNITS), callbacks=callbacks,
        )  # fmt: skip
        called = names_for(network, None, feature_names).feature_names
        return cls(recording=film, image_shape=shape, class_names=names, feature_names=called).plot(
            ax=ax
        )

    def plot(self, ax: Any = None) -> TrainingAnimation:
        """Draw the frame ``frame`` into a new figure; a film has a layout of its own, and ``ax``
        must be None."""
        if ax is not None:
            raise SettingError("ax", "must be None: a film draws into a figure of its own")
        figure = matplotlib().pyplot.figure(figsize=(8.4, 5.6), layout="constrained")
        k = len(self.recording.X)
        above, below = figure.subfigures(2, 1, height_ratios=[1.7, 1])
        cost, weights = above.subplots(1, 2, width_ratios=[1.25, 1])
        watched = below.subplots(1, 2 * k, width_ratios=[1, 1.1] * k, squeeze=False)[0]
        self.figure_ = figure
        self.ax_ = np.array([cost, weights, *watched])
        below.suptitle("What it makes of examples it does not learn", fontsize="medium")
        self._updates = [
            self._draw_costs(cost),
            self._draw_weights(weights),
            *(self._draw_example(i, *watched[2 * i : 2 * i + 2]) for i in range(k)),
        ]
        settle(figure, own=True)
        self.show_frame(self.frame)
        return self

    def show_frame(self, frame: int) -> None:
        """Turn what is drawn into another frame, counted from 0, or from the end if negative."""
        n = len(self.recording.moments)
        if not -n <= frame < n:
            raise SettingError("frame", f"must be from {-n} to {n - 1}; got {frame}")
        self.frame = frame
        for update in self._updates:
            update(frame % n)

    def frames(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Any]:
        """Yield every frame as a Pillow image; ``progress(done, total)`` is called after each."""
        from PIL import Image

        before, total = self.frame, len(self.recording.moments)
        self.figure_.set_dpi(DPI)
        for frame in range(total):
            self.show_frame(frame)
            self.figure_.canvas.draw()
            pixels = np.asarray(self.figure_.canvas.buffer_rgba())[..., :3]
            yield Image.fromarray(np.ascontiguousarray(pixels))
            if progress:
                progress(frame + 1, total)
        self.show_frame(before)

    def save(
        self, path: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Write the film as GIF or as one HTML page that needs nothing else, by the name's ending;
        as PNG or SVG, the frame that is drawn."""
        check_format(path, FILM_FORMATS)
        suffix = Path(path).suffix.lower()
        if suffix == ".gif":
            write_whole(path, self._gif(progress))
        elif suffix == ".html":
            write_whole(path, self.to_html(progress).encode())
        else:
            super().save(path)

    def to_html(self, progress: Callable[[int, int], None] | None = None) -> str:
        """Return the film as one HTML page with a slider."""
        pictures = []
        for image in self.frames(progress):
            data = io.BytesIO()
            image.quantize(COLORS, METHOD).save(data, "PNG", optimize=True)
            pictures.append(base64.b64encode(data.getvalue()).decode("ascii"))
        words = [self._when(frame) for frame in range(len(pictures))]
        colors = palette()
        return html_player(pictures, words, FRAME_MS, colors.background, colors.text)

    def _repr_html_(self) -> str:
        """Show the film in a notebook."""
        from html import escape

        page = escape(self.to_html())
        width, height = (int(DPI * inches) for inches in self.figure_.get_size_inches())
        return f'<iframe srcdoc="{page}" width="{width + 40}" height="{height + 90}"></iframe>'

    def _gif(self, progress: Callable[[int, int], None] | None) -> bytes:
        """Return the film as GIF: one palette, and of each frame only what changes."""
        images, shades = [], None
        for image in self.frames(progress):
            images.append(image)
        # The last frame has all colours that there are.
        shades = images[-1].quantize(COLORS, METHOD)
        images = [image.quantize(palette=shades, dither=0) for image in images]
        data = io.BytesIO()
        times = [FRAME_MS] * (len(images) - 1) + [LAST_MS]
        images[0].save(
            data, "GIF", save_all=True, append_images=images[1:], duration=times, loop=0,
            optimize=False,
        )  # fmt: skip
        return data.getvalue()

    def _when(self, frame: int) -> str:
        moment = self.recording.moments[frame]
        score = f"{100 * moment.score:.1f} % right"
        epoch = f"{moment.epoch:.0f}" if moment.epoch >= 1 else f"{moment.epoch:.2f}"
        return f"epoch {epoch}, step {moment.step:,}: {score}"

    def _draw_costs(self, axis: Any) -> Callable[[int], None]:
        """Draw the costs up to a moment; steps on an axis that gives the beginning room."""
        colors, moments = palette(), self.recording.moments
        steps = np.array([moment.step for moment in moments], dtype=np.float64)
        series = {
            "training": ([moment.cost for moment in moments], "-", colors.positive, "o"),
            "validation": ([moment.validation_cost for moment in moments], "--", colors.negative,
                           "s"),
        }  # fmt: skip
        lines, points = [], []
        for name, (costs, style, color, marker) in series.items():
            axis.plot(steps, costs, style, color=color, alpha=0.15)  # where it will go
            lines.append((axis.plot([], [], style, color=color, label=name)[0], costs))
            points.append((axis.plot([], [], marker, color=color)[0], costs))
        axis.set_xscale("symlog", linthresh=1)
        axis.set(xlabel="step (mini-batches)", ylabel="cost", xlim=(0, steps[-1] * 1.15))
        axis.set_ylim(bottom=0)
        axis.legend(fontsize="small", loc="lower left")
        title = axis.set_title(self._when(-1))

        def update(frame: int) -> None:
            for line, costs in lines:
                line.set_data(steps[: frame + 1], costs[: frame + 1])
            for point, costs in points:
                point.set_data(steps[frame : frame + 1], costs[frame : frame + 1])
            title.set_text(self._when(frame))

        return update

    def _draw_weights(self, axis: Any) -> Callable[[int], None]:
        """Draw the weights into units of the first layer, all on one scale."""
        moments = self.recording.moments
        largest = max(float(np.percentile(np.abs(moment.weights), 99.5)) for moment in moments)
        n = moments[0].weights.shape[1]
        pictures = [self._mosaic(moment.weights) for moment in moments]
        image = axis.imshow(
            pictures[-1], cmap=diverging(), vmin=-largest or -1, vmax=largest or 1,
            interpolation="nearest", aspect="equal" if self.image_shape else "auto",
        )  # fmt: skip
        axis.spines[:].set_visible(False)
        if self.image_shape:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title(f"weights into {n} first-layer units, as images")
        else:
            axis.set(xlabel="unit", ylabel="input", title="weights of the first layer")
            names = [shorten(name, 16) for name in self.feature_names or ()]
            named = 0 < len(names) <= MOST_NAMES
            if named:
                axis.set_yticks(range(len(names)), names, fontsize=7)
                axis.set_ylabel("")
            for ticks in (axis.xaxis,) if named else (axis.xaxis, axis.yaxis):
                ticks.get_major_locator().set_params(integer=True, min_n_ticks=1)
        bar = axis.figure.colorbar(image, ax=axis, shrink=0.8)
        bar.outline.set_visible(False)
        bar.set_label("weight")
        return lambda frame: image.set_data(pictures[frame])

    def _mosaic(self, weights: Array) -> Array:
        """Return the weights (n_inputs, n) as images side by side, a gap of NaN between them."""
        if self.image_shape is None:
            return weights
        height, width = self.image_shape
        n = weights.shape[1]
        across = int(np.ceil(np.sqrt(n * height / width)))
        down = -(-n // across)
        gap = max(1, height // 10)
        whole = np.full((down * (height + gap) - gap, across * (width + gap) - gap), np.nan)
        for unit in range(n):
            top, left = (unit // across) * (height + gap), (unit % across) * (width + gap)
            whole[top : top + height, left : left + width] = weights[:, unit].reshape(height, width)
        return whole

    def _draw_example(self, i: int, picture: Any, bars: Any) -> Callable[[int], None]:
        """Draw one example that is watched, and bars for the outputs; the true class is hatched."""
        colors, true = palette(), int(self.recording.y[i])
        names = [short(name) for name in self.class_names]
        if self.image_shape:
            draw_image(picture, self.recording.X[i].reshape(self.image_shape))
        else:
            picture.set_axis_off()
            words = f"example {i + 1}\ntrue {names[true]}"
            picture.text(0, 0.5, words, va="center", fontsize="small")
        outputs = [self._scores(moment.outputs[i]) for moment in self.recording.moments]
        n = len(outputs[0])
        drawn = bars.barh(range(n), outputs[-1], edgecolor=colors.background, linewidth=0.3)
        drawn[true].set_hatch("////")
        low, high = min(0.0, float(np.min(outputs))), max(1.0, float(np.max(outputs)))
        small = 7 if n <= 10 else 5
        bars.set_yticks(range(n), names, fontsize=small)
        bars.set(xlim=(low, high), ylim=(n - 0.4, -0.6))
        bars.set_xticks([low, high], [f"{low:.3g}", f"{high:.3g}"], fontsize=small)
        bars.set_xlabel("output", fontsize="small", labelpad=-4)
        bars.tick_params(length=0)
        bars.spines["bottom"].set_visible(False)
        title = picture.set_title("", fontsize="small")

        def update(frame: int) -> None:
            taken = int(outputs[frame].argmax())
            words = f"says {names[taken]}\n"
            title.set_text(words + ("right" if taken == true else "wrong"))
            for c, bar in enumerate(drawn):
                bar.set_width(outputs[frame][c])
                role = colors.positive if c == true else colors.muted
                bar.set_facecolor(colors.negative if c == taken != true else role)

        update(len(outputs) - 1)
        return update

    @staticmethod
    def _scores(outputs: Array) -> Array:
        return outputs if len(outputs) > 1 else np.array([1 - outputs[0], outputs[0]])
