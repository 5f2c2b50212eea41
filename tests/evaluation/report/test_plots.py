"""The plots: each thing in its colour, at its place, on no background."""

import numpy as np

from avlgan_jax.evaluation.report import plots


def colour_of(picture, x, y):
    """RGBA at a place given as shares of the picture's width and height."""
    pixels = np.asarray(picture)
    return pixels[int(y * pixels.shape[0]), int(x * pixels.shape[1])].astype(int)


def orange(picture):
    pixels = np.asarray(picture).astype(int)
    return np.argwhere((pixels[..., 3] > 100) & (pixels[..., 0] > pixels[..., 2] + 60))


def test_the_scatter_draws_each_age_in_its_colour():
    line = np.linspace(-1, 1, 50)
    infants = np.arange(50) % 2 == 0
    assert len(orange(plots.scatter([("a", line, line, infants)], columns=1))) > 100
    assert len(orange(plots.scatter([("a", line, line, ~infants & False)], columns=1))) == 0


def test_a_plane_map_has_pleasure_to_the_right_and_arousal_at_the_top():
    radii, angles = (0.5, 1.0), 4
    for place, (dx, dy) in {1 + angles: (1, 0), 2 + angles: (0, -1), 3 + angles: (-1, 0), 4 + angles: (0, 1)}.items():
        values = np.full(1 + 2 * angles, 1.0)
        values[place] = -1.0
        picture = plots.plane_maps([("", values, "dB")], radii, angles, columns=1)
        ys, xs = orange(picture)[:, 0], orange(picture)[:, 1]
        disc = ys < 0.7 * picture.height  # below it lies the scale
        blue = np.asarray(picture).astype(int)
        blue = np.argwhere((blue[..., 3] > 100) & (blue[..., 2] > blue[..., 0] + 60))
        blue = blue[blue[:, 0] < 0.7 * picture.height]
        east, south = xs[disc].mean() - blue[:, 1].mean(), ys[disc].mean() - blue[:, 0].mean()
        assert np.sign(round(east / 100)) == dx
        assert np.sign(round(south / 100)) == dy


def test_arrows_lead_from_the_asked_to_the_judged():
    asked = np.array([[0.0, 0.0]])
    right = orange(plots.plane_arrows([("", asked, np.array([[0.9, 0.0]]), True)], columns=1))
    up = orange(plots.plane_arrows([("", asked, np.array([[0.0, 0.9]]), True)], columns=1))
    assert np.ptp(right[:, 1]) > 5 * np.ptp(right[:, 0])
    assert np.ptp(up[:, 0]) > 5 * np.ptp(up[:, 1])


def test_plots_have_no_background_of_their_own():
    line = np.linspace(-1, 1, 5)
    picture = plots.scatter([("a", line, line, line > 0)], columns=1)
    assert colour_of(picture, 0.01, 0.01)[3] == 0
    assert colour_of(picture, 0.8, 0.8)[3] == 0
