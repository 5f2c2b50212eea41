"""What is measured: agreement of emotions, distance of distributions of features, likeness of pictures.

Everything here takes numpy arrays, computes in float64 and gives plain numbers or arrays.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num, UInt8

# Rounding to eight bits alone errs by a mean square of 1/12: above 58.9 dB the PSNR of stored pictures means nothing.
ROUNDING_ERROR = 1.0 / 12.0


def rmse(predicted: Float[np.ndarray, "*n"], expected: Float[np.ndarray, "*n"]) -> float:
    """Root mean square error over all numbers given.

    With (n, 2) emotions this is the paper's RMSE (Section IV-A): valence and arousal are concatenated into one vector.
    """
    return float(np.sqrt(np.mean(np.square(_double(predicted) - _double(expected)))))


def pcc(predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"]) -> float:
    """Pearson's correlation, in [-1, 1].

    Where one side is constant the correlation is not defined; this gives 0, for what never moves follows nothing.
    """
    p, e = _centred(predicted), _centred(expected)
    spread = np.sqrt((p @ p) * (e @ e))
    return float(np.clip((p @ e) / spread, -1.0, 1.0)) if spread > 0 else 0.0


def ccc(predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"]) -> float:
    """Lin's concordance correlation (1989), in [-1, 1]: Pearson's, lowered by every difference of mean and of scale.

    Two equal constants agree in everything and give 1; any other constant gives 0.
    """
    p, e = _centred(predicted), _centred(expected)
    shift = np.mean(_double(predicted)) - np.mean(_double(expected))
    disagreement = p @ p + e @ e + len(p) * shift**2
    return float(2.0 * (p @ e) / disagreement) if disagreement > 0 else 1.0


def sagr(predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"]) -> float:
    """Sign agreement (Nicolaou et al. 2011): the share of predictions on the right side of zero, in [0, 1]."""
    return float(np.mean(np.sign(predicted) == np.sign(expected)))


@dataclass(frozen=True)
class Moments:
    """Mean and scatter matrix of a stream of feature vectors, in float64, whatever its batches were."""

    count: int
    mean: Float[np.ndarray, "d"]
    scatter: Float[np.ndarray, "d d"]

    @classmethod
    def empty(cls, dimensions: int) -> "Moments":
        """The moments of nothing yet."""
        return cls(0, np.zeros(dimensions), np.zeros((dimensions, dimensions)))

    def add(self, features: Float[np.ndarray, "n d"], keep: Bool[np.ndarray, "n"] | None = None) -> "Moments":
        """These moments and those of `features` (Chan et al. 1979); rows where `keep` is False do not count."""
        rows = _double(features if keep is None else features[keep])
        if len(rows) == 0:
            return self
        mean = rows.mean(axis=0)
        centred = rows - mean
        total = self.count + len(rows)
        shift = mean - self.mean
        scatter = self.scatter + centred.T @ centred + np.outer(shift, shift) * (self.count * len(rows) / total)
        return Moments(total, self.mean + shift * (len(rows) / total), scatter)

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """The unbiased covariance; of fewer than two vectors, zeros."""
        return self.scatter / max(self.count - 1, 1)


def moments(features: Float[np.ndarray, "n d"]) -> Moments:
    """The moments of vectors that are all at hand."""
    return Moments.empty(features.shape[-1]).add(features)


def frechet_distance(a: Moments, b: Moments) -> float:
    """Fréchet distance of two Gaussians with these moments (Dowson and Landau 1982), the form FID has (Heusel 2017).

    |mean_a - mean_b|^2 + tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2. The matrix under the last root is symmetric and has no
    negative eigenvalue, so `eigh` gives its trace exactly as real as it is, also where there are fewer vectors than
    dimensions. Never below 0.
    """
    root = _square_root(a.covariance)
    cross = np.linalg.eigvalsh(_symmetric(root @ b.covariance @ root))
    shared = np.sqrt(np.clip(cross, 0.0, None)).sum()
    apart = np.sum(np.square(a.mean - b.mean))
    return float(max(apart + np.trace(a.covariance) + np.trace(b.covariance) - 2.0 * shared, 0.0))


def psnr(a: UInt8[np.ndarray, "n h w c"], b: UInt8[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n"]:
    """Peak signal-to-noise ratio of each pair of uint8 pictures, in decibels; equal pictures give 58.9 dB."""
    error = np.square(a.astype(np.float32) - b.astype(np.float32)).mean(axis=(1, 2, 3), dtype=np.float64)
    return 10.0 * np.log10(255.0**2 / np.maximum(error, ROUNDING_ERROR))


def ssim(a: UInt8[np.ndarray, "n h w 3"], b: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n"]:
    """Structural similarity of each pair of pictures (Wang et al. 2004), in [-1, 1], 1 for equal ones.

    Of the luminance (ITU-R 601), in windows of 11x11 pixels weighted by a Gaussian of standard deviation 1.5 that lie
    wholly in the picture, with K1 = 0.01 and K2 = 0.03. The pictures must be at least 11 pixels high and wide.
    """
    x, y = _luminance(a), _luminance(b)
    rows, columns = _gaussian_windows(x.shape[1]), _gaussian_windows(x.shape[2])

    def local_mean(values: np.ndarray) -> np.ndarray:
        return rows @ values @ columns.T

    mean_x, mean_y = local_mean(x), local_mean(y)
    variance_x = local_mean(x * x) - mean_x**2
    variance_y = local_mean(y * y) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return np.mean(luminance * structure, axis=(1, 2))


def kernel_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """The squared maximum mean discrepancy of KID (Bińkowski et al. 2018): kernel (x.y / d + 1)^3, unbiased.

    Unbiased means that it is 0 in the mean where both come from one distribution, so it may fall below 0. All pairs are
    used, so there is no subset to draw. Needs at least two vectors of each.
    """
    within_a, within_b = (_kernel_sum(x, x) - _kernel_diagonal(x) for x in (a, b))
    n, m = len(a), len(b)
    return float(within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2.0 * _kernel_sum(a, b) / (n * m))


def precision_recall(
    generated: Float[np.ndarray, "n d"], real: Float[np.ndarray, "m d"], neighbour: int = 3
) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019), each in [0, 1].

    Precision is the share of generated vectors within reach of a real one, recall the share of real vectors within
    reach of a generated one, where a vector reaches as far as its `neighbour`-th nearest of its own kind. Needs more
    than `neighbour` vectors of each.
    """
    return _covered(generated, real, _reach(real, neighbour)), _covered(real, generated, _reach(generated, neighbour))


def _double(values: Num[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    return np.asarray(values, np.float64)


def _centred(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    values = _double(values)
    # A constant must come out as exact zeros, which its mean, being rounded, does not promise.
    return values - values.mean() if np.ptp(values) > 0 else np.zeros_like(values)


def _symmetric(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    return 0.5 * (matrix + matrix.T)


def _square_root(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    values, vectors = np.linalg.eigh(_symmetric(covariance))
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def _luminance(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n h w"]:
    return images.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def _gaussian_windows(side: int) -> Float[np.ndarray, "windows side"]:
    """One row for each place of an 11-pixel window in a line of `side` pixels."""
    weights = np.exp(-0.5 * np.square(np.arange(-5, 6) / 1.5))
    rows = np.zeros((side - 10, side))
    for place, row in enumerate(rows):
        row[place : place + 11] = weights / weights.sum()
    return rows


def _kernel(products: Float[np.ndarray, "*n"], dimensions: int) -> Float[np.ndarray, "*n"]:
    return (products / dimensions + 1.0) ** 3


def _kernel_sum(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    a, b = _double(a), _double(b)
    return sum(float(np.sum(_kernel(rows @ b.T, a.shape[1]))) for rows in _blocks(a))


def _kernel_diagonal(a: Float[np.ndarray, "n d"]) -> float:
    return float(np.sum(_kernel(np.sum(np.square(_double(a)), axis=1), a.shape[1])))


def _reach(vectors: Float[np.ndarray, "n d"], neighbour: int) -> Float[np.ndarray, "n"]:
    """Squared distance of each vector to its `neighbour`-th nearest other one."""
    # The nearest of all is the vector itself.
    found = [
        np.partition(_squared_distances(rows, vectors), neighbour, axis=1)[:, neighbour] for rows in _blocks(vectors)
    ]
    return np.concatenate(found)


def _covered(vectors: np.ndarray, others: np.ndarray, reach: Float[np.ndarray, "m"]) -> float:
    inside = [np.any(_squared_distances(rows, others) <= reach, axis=1) for rows in _blocks(vectors)]
    return float(np.mean(np.concatenate(inside)))


def _squared_distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    a, b = _double(a), _double(b)
    return np.maximum(np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1) - 2.0 * (a @ b.T), 0.0)


def _blocks(rows: Float[np.ndarray, "n d"], size: int = 1024) -> Iterator[Float[np.ndarray, "k d"]]:
    """The rows in blocks, so that no whole matrix of pairs is ever held."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
