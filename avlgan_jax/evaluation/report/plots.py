"""The report's plots: arrays in, Pillow pictures out. As `figures`, they stand on light and on dark."""

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
SLICES = 8


def scatter(
    panels: Sequence[tuple[str, Float[np.ndarray, "n"], Float[np.ndarray, "n"], Bool[np.ndarray, "n"]]],
    columns: int = 2,
) -> Image.Image:
    """Asked against judged, one panel for each (title, expected, predicted, is it an infant), as in Figure 7."""
    with _plots(len(panels), columns) as (axes, finish):
        for axis, (title, expected, predicted, infants) in zip(axes, panels, strict=True):
            axis.plot([-1, 1], [-1, 1], color=GREY, linewidth=1, zorder=0)
            for members, colour, label in ((~infants, ADULT, "adults"), (infants, INFANT, "infants")):
                if members.any():
                    axis.scatter(expected[members], predicted[members], 9, colour, alpha=0.5, lw=0, label=label)
            axis.set(title=title, xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel="asked", ylabel="judged", aspect=1)
            axis.set(xticks=(-1, -0.5, 0, 0.5, 1), yticks=(-1, -0.5, 0, 0.5, 1))
        if any(infants.any() and not infants.all() for *_, infants in panels):
            axes[0].legend(frameon=False, markerscale=2, loc="upper left")
        return finish()


def plane_maps(
    panels: Sequence[tuple[str, Float[np.ndarray, "t"], str]], radii: Sequence[float], angles: int, columns: int
) -> Image.Image:
    """Values over the valence-arousal plane, one disc for each (title, values, unit); above 0 is blue, below it red.

    The values stand in the order of `circumplex.targets`: the centre, then each ring of `radii`, anticlockwise from
    pleasure. Panels of one unit share one scale of colours.
    """
    limits = {unit: max(np.abs(v).max() for _, v, u in panels if u == unit) for unit in {u for _, _, u in panels}}
    middles = [0.0, *radii]
    edges = [0.0, *((a + b) / 2 for a, b in itertools.pairwise(middles)), 1.5 * middles[-1] - 0.5 * middles[-2]]
    # Each cell is cut into slices, whose straight edges then pass for an arc.
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
            scale = {"ticks": (-limit, 0.0, limit), "format": "%.2g"}
            bar = axis.figure.colorbar(mesh, ax=axis, orientation="horizontal", shrink=0.8, pad=0.13, **scale)
            bar.set_label(unit)
            bar.outline.set_visible(False)
        return finish()


def plane_arrows(
    panels: Sequence[tuple[str, Float[np.ndarray, "t 2"], Float[np.ndarray, "t 2"], bool]], columns: int
) -> Image.Image:
    """From each emotion asked (a dot) to the one judged, a disc for each (title, asked, judged, are they infants)."""
    with _plots(len(panels), columns) as (axes, finish):
        for axis, (title, asked, judged, infants) in zip(axes, panels, strict=True):
            turn = np.linspace(0, 2 * np.pi, 200)
            axis.plot(np.cos(turn), np.sin(turn), color=GREY, linewidth=1, alpha=0.5)
            colour = INFANT if infants else ADULT
            axis.scatter(*asked.T, 16, GREY, linewidths=0)
            axis.quiver(*asked.T, *(judged - asked).T, color=colour, units="xy", scale=1, width=0.016, headwidth=5)
            axis.set(title=title, xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), xlabel="valence", ylabel="arousal", aspect=1)
            axis.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        return finish()


def curves(
    times: Float[np.ndarray, "f"],
    panels: Sequence[tuple[str, dict[str, tuple[Float[np.ndarray, "f"], str, str]]]],
    marks: dict[str, float],
    axis_name: str,
) -> Image.Image:
    """Values in [-1, 1] over time, one panel below the other: by label the values, the colour and the style of a line.

    `marks` are named times, drawn through all panels.
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
    """A measure over a loss weight, one panel for each (title, rows of `table_i`, our measure, the paper's).

    The weights stand evenly spaced, for they go from 0 over powers of ten.
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
            beside = axis.twinx()
            beside.plot(*zip(*paper, strict=True), "--", color=GREY, linewidth=1.3)
            beside.tick_params(labelsize=8, colors=GREY)
            beside.locator_params(axis="y", nbins=4)
            axis.tick_params(labelsize=8)
            axis.set_title(title, fontsize=11)
            axis.set_xticks(places, [f"{row['value']:g}" for row in rows])
        return finish()


@contextlib.contextmanager
def _plots(count: int, columns: int, height: float = 1.0) -> Iterator[tuple[list, Callable[[], Image.Image]]]:
    """`count` Matplotlib axes in the style of the report, and a function that makes the picture of them.

    A panel is `height` times as high as it is wide.
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
