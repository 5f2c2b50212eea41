"""The plots: colours, positions and transparent backgrounds."""

import numpy as np

from avlgan_jax.evaluation.report import plots


def colour_of(image, x, y):
    """Return the RGBA value at a position given as fractions of the image's width and height."""
    pixels = np.asarray(image)
    return pixels[int(y * pixels.shape[0]), int(x * pixels.shape[1])].astype(int)


def orange_pixels(image):
    pixels = np.asarray(image).astype(int)
    return np.argwhere((pixels[..., 3] > 100) & (pixels[..., 0] > pixels[..., 2] + 60))


def test_the_scatter_plot_draws_infants_in_orange():
    line = np.linspace(-1, 1, 50)
    infants = np.arange(50) % 2 == 0
    assert len(orange_pixels(plots.scatter([("a", line, line, infants)], columns=1))) > 100
    assert len(orange_pixels(plots.scatter([("a", line, line, ~infants & False)], columns=1))) == 0


def test_a_plane_map_has_positive_valence_at_the_right_and_high_arousal_at_the_top():
    radii, angles = (0.5, 1.0), 4
    for index, (dx, dy) in {1 + angles: (1, 0), 2 + angles: (0, -1), 3 + angles: (-1, 0), 4 + angles: (0, 1)}.items():
        values = np.full(1 + 2 * angles, 1.0)
        values[index] = -1.0
        image = plots.plane_maps([("", values, "dB")], radii, angles, columns=1)
        ys, xs = orange_pixels(image)[:, 0], orange_pixels(image)[:, 1]
        disc = ys < 0.7 * image.height  # the colour scale is below the disc
        blue = np.asarray(image).astype(int)
        blue = np.argwhere((blue[..., 3] > 100) & (blue[..., 2] > blue[..., 0] + 60))
        blue = blue[blue[:, 0] < 0.7 * image.height]
        east, south = xs[disc].mean() - blue[:, 1].mean(), ys[disc].mean() - blue[:, 0].mean()
        assert np.sign(round(east / 100)) == dx
        assert np.sign(round(south / 100)) == dy


def test_arrows_lead_from_target_to_predicted_emotions():
    targets = np.array([[0.0, 0.0]])
    right = orange_pixels(plots.plane_arrows([("", targets, np.array([[0.9, 0.0]]), True)], columns=1))
    up = orange_pixels(plots.plane_arrows([("", targets, np.array([[0.0, 0.9]]), True)], columns=1))
    assert np.ptp(right[:, 1]) > 5 * np.ptp(right[:, 0])
    assert np.ptp(up[:, 0]) > 5 * np.ptp(up[:, 1])


def test_plots_have_a_transparent_background():
    line = np.linspace(-1, 1, 5)
    image = plots.scatter([("a", line, line, line > 0)], columns=1)
    assert colour_of(image, 0.01, 0.01)[3] == 0
    assert colour_of(image, 0.8, 0.8)[3] == 0
