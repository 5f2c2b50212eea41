"""Plots of the report: arrays in, Pillow pictures out.

As in `sheets`, the background is transparent and the text grey, so one file serves light and dark pages.
"""

import contextlib
import io
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

GREY = "#808086"
ADULT, INFANT = "#3f86d6", "#e07b39"
WIDTH_INCHES = 9.2
# Straight-edged slices per cell of a plane map, so that the cell's edge looks like an arc.
SLICES = 8


def scatter(
    panels: Sequence[tuple[str, Float[np.ndarray, "n"], Float[np.ndarray, "n"], Bool[np.ndarray, "n"]]],
    columns: int = 2,
) -> Image.Image:
    """Plot target against predicted values in [-1, 1], as in Figure 7.

    Args:
        panels: For each panel the title, the targets, the predictions, and whether each trial shows an infant.
        columns: Panels per row.
    """
    with _plots(len(panels), columns) as (axes, finish):
        for axis, (title, expected, predicted, infants) in zip(axes, panels, strict=True):
            axis.plot([-1, 1], [-1, 1], color=GREY, linewidth=1, zorder=0)
            for members, colour, label in ((~infants, ADULT, "adults"), (infants, INFANT, "infants")):
                if members.any():
                    axis.scatter(expected[members], predicted[members], 9, colour, alpha=0.5, lw=0, label=label)
            axis.set(title=title, xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel="target", ylabel="predicted", aspect=1)
            axis.set(xticks=(-1, -0.5, 0, 0.5, 1), yticks=(-1, -0.5, 0, 0.5, 1))
        if any(infants.any() and not infants.all() for *_, infants in panels):
            axes[0].legend(frameon=False, markerscale=2, loc="upper left")
        return finish()


def plane_maps(
    panels: Sequence[tuple[str, Float[np.ndarray, "t"], str]], radii: Sequence[float], angles: int, columns: int
) -> Image.Image:
    """Plot values over the valence-arousal plane as coloured discs: blue above 0, red below.

    Args:
        panels: For each disc the title, the values, and their unit. The values are in the order of
            `circumplex.targets`: the centre, then each ring of `radii`, anticlockwise from positive valence. Panels
            with the same unit share a colour scale.
        radii: Radii of the rings, ascending.
        angles: Values per ring.
        columns: Discs per row.
    """
    limits = {unit: max(np.abs(v).max() for _, v, u in panels if u == unit) for unit in {u for _, _, u in panels}}
    middles = [0.0, *radii]
    edges = [0.0, *((a + b) / 2 for a, b in itertools.pairwise(middles)), 1.5 * middles[-1] - 0.5 * middles[-2]]
    turn = 2 * np.pi * (np.arange(angles * SLICES + 1) / SLICES - 0.5) / angles
    x, y = (np.outer(edges, function(turn)) for function in (np.cos, np.sin))
    with _plots(len(panels), columns, height=1.3) as (axes, finish):
        for axis, (title, values, unit) in zip(axes, panels, strict=True):
            rings = np.concatenate([np.full((1, angles), values[0]), values[1:].reshape(len(radii), angles)])
            limit = max(limits[unit], 1e-9)
            mesh = axis.pcolormesh(x, y, rings.repeat(SLICES, axis=1), cmap="RdBu", vmin=-limit, vmax=limit)
            axis.set(
                title=title, xlabel="valence →", ylabel="arousal →", aspect=1, xticks=[], yticks=[], frame_on=False
            )
            scale = {"ticks": (-limit, 0.0, limit), "format": lambda value, _: f"{value:.2g}".replace("-", "−")}
            bar = axis.figure.colorbar(mesh, ax=axis, orientation="horizontal", shrink=0.8, pad=0.13, **scale)
            bar.set_label(unit)
            bar.outline.set_visible(False)
        return finish()


def plane_arrows(
    panels: Sequence[tuple[str, Float[np.ndarray, "t 2"], Float[np.ndarray, "t 2"], bool]], columns: int
) -> Image.Image:
    """Plot arrows over the valence-arousal plane from target emotions (grey dots) to predicted ones.

    Args:
        panels: For each disc the title, the targets, the predictions, and whether its people are infants.
        columns: Discs per row.
    """
    with _plots(len(panels), columns) as (axes, finish):
        for axis, (title, targets, predicted, infants) in zip(axes, panels, strict=True):
            turn = np.linspace(0, 2 * np.pi, 200)
            axis.plot(np.cos(turn), np.sin(turn), color=GREY, linewidth=1, alpha=0.5)
            colour = INFANT if infants else ADULT
            axis.scatter(*targets.T, 16, GREY, linewidths=0)
            axis.quiver(
                *targets.T, *(predicted - targets).T, color=colour, units="xy", scale=1, width=0.016, headwidth=5
            )
            axis.set(title=title, xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xlabel="valence", ylabel="arousal", aspect=1)
            axis.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        return finish()


def curves(
    times: Float[np.ndarray, "f"],
    panels: Sequence[tuple[str, dict[str, tuple[Float[np.ndarray, "f"], str, str]]]],
    marks: dict[str, float],
    axis_name: str,
) -> Image.Image:
    """Plot values in [-1, 1] over time, in panels below one another.

    Args:
        times: Times of the values, the same for all panels.
        panels: For each panel the title, and by label the values, colour and Matplotlib style of a line.
        marks: Times by name, drawn as vertical lines through all panels.
        axis_name: Label of the time axis.
    """
    with _plots(len(panels), 1, height=0.27) as (axes, finish):
        for axis, (title, lines) in zip(axes, panels, strict=True):
            axis.axhline(0.0, color=GREY, linewidth=0.6, alpha=0.6)
            for label, (values, colour, style) in lines.items():
                axis.plot(times, values, style, color=colour, linewidth=1.6, label=label)
            for name, time in marks.items():
                axis.axvline(time, color=GREY, linewidth=1.2, linestyle=":")
                axis.annotate(name, (time, 0.98), (4, 0), textcoords="offset points", fontsize=11, va="top")
            axis.set(ylabel=title, xlim=(times[0], times[-1]), ylim=(-1.05, 1.05), yticks=(-1, 0, 1))
            axis.legend(frameon=False, fontsize=10, loc="best", ncols=2)
        axes[-1].set_xlabel(axis_name)
        return finish()


def weight_curves(panels: Sequence[tuple[str, Sequence[dict], str, str]], columns: int) -> Image.Image:
    """Plot a measure over the values of a loss weight, with the paper's curve on a second scale.

    The weights are evenly spaced, because they start at 0 and then grow roughly by powers of ten.

    Args:
        panels: For each panel the title, the rows of one weight in `table_i` of `metrics.json`, the key of the measure
            in a row, and the key of the paper's measure in its `paper`.
        columns: Panels per row.
    """
    with _plots(len(panels), columns, height=0.95) as (axes, finish):
        for axis, (title, rows, measure, theirs) in zip(axes, panels, strict=True):
            places = np.arange(len(rows))
            axis.plot(places, [row[measure] for row in rows], color=ADULT, linewidth=1.8)
            for place, row in enumerate(rows):
                seeds = row["seeds"][measure]
                axis.scatter([place] * len(seeds), seeds, 14, ADULT, linewidths=0)
                if row["own"]:
                    axis.scatter(place, row[measure], 90, "none", edgecolors=INFANT, linewidths=1.8, zorder=3)
            paper = [(place, row["paper"][theirs]) for place, row in enumerate(rows) if row["paper"]]
            right = axis.twinx()
            right.plot(*zip(*paper, strict=True), "--", color=GREY, linewidth=1.3)
            right.tick_params(labelsize=8, colors=GREY)
            right.locator_params(axis="y", nbins=4)
            axis.tick_params(labelsize=8)
            axis.set_title(title, fontsize=11)
            axis.set_xticks(places, [f"{row['value']:g}" for row in rows])
        return finish()


@contextlib.contextmanager
def _plots(count: int, columns: int, height: float = 1.0) -> Iterator[tuple[list, Callable[[], Image.Image]]]:
    """Yield `count` Matplotlib axes in the report's style, and a function that renders them to a picture.

    The height of a panel is `height` times its width.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = -(-count // columns)
    colours = dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), GREY)
    with matplotlib.rc_context({**colours, "font.size": 13, "axes.facecolor": "none", "axes.edgecolor": GREY}):
        size = (WIDTH_INCHES, WIDTH_INCHES / columns * height * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)

        def finish() -> Image.Image:
            for axis in axes.flat:
                axis.set_visible(bool(axis.has_data()))
                for spine in axis.spines.values():
                    spine.set_alpha(0.5)
            figure.tight_layout()
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110, transparent=True)
            buffer.seek(0)
            return Image.open(buffer).copy()

        try:
            yield list(axes.flat)[:count], finish
        finally:
            plt.close(figure)
