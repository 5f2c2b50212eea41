"""Metrics: agreement of emotions, distances between feature distributions, and image similarity.

All functions take numpy arrays, compute in float64 and return floats or numpy arrays.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Num, UInt8

# Mean square error of rounding to 8 bits. It limits the PSNR: above 58.9 dB it has no meaning for 8-bit images.
ROUNDING_ERROR = 1.0 / 12.0
NEIGHBOUR = 3  # of each vector, for precision and recall


def rmse(predicted: Float[np.ndarray, "*n"], expected: Float[np.ndarray, "*n"]) -> float:
    """Return the root mean square error over all elements.

    For (n, 2) emotions this is the paper's RMSE (Section IV-A): valence and arousal are concatenated into one vector.
    """
    return float(np.sqrt(np.mean(np.square(_double(predicted) - _double(expected)))))


def pcc(predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"]) -> float:
    """Return Pearson's correlation, in [-1, 1].

    It is undefined if `predicted` or `expected` is constant. The result is then 0, because a constant follows nothing.
    """
    p, e = _centred(predicted), _centred(expected)
    spread = np.sqrt((p @ p) * (e @ e))
    return float(np.clip((p @ e) / spread, -1.0, 1.0)) if spread > 0 else 0.0


def ccc(predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"]) -> float:
    """Return Lin's concordance correlation (1989), in [-1, 1].

    It is Pearson's correlation, reduced by differences of mean and scale. Two equal constants give 1; any other case
    with a constant gives 0.
    """
    p, e = _centred(predicted), _centred(expected)
    shift = np.mean(_double(predicted)) - np.mean(_double(expected))
    disagreement = p @ p + e @ e + len(p) * shift**2
    return float(2.0 * (p @ e) / disagreement) if disagreement > 0 else 1.0


def sagr(predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"]) -> float:
    """Return the sign agreement (Nicolaou et al. 2011): the share of predictions with the right sign, in [0, 1]."""
    return float(np.mean(np.sign(predicted) == np.sign(expected)))


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter matrix of a stream of feature vectors, in float64, for any division into batches."""

    count: int
    mean: Float[np.ndarray, "d"]
    scatter: Float[np.ndarray, "d d"]
    """Sum of the outer products of the vectors' deviations from the mean."""

    @classmethod
    def empty(cls, dimensions: int) -> "Moments":
        """Return the moments of an empty stream."""
        return cls(0, np.zeros(dimensions), np.zeros((dimensions, dimensions)))

    def add(self, features: Float[np.ndarray, "n d"], keep: Bool[np.ndarray, "n"] | None = None) -> "Moments":
        """Return the moments with `features` added (Chan et al. 1979).

        Args:
            features: The vectors to add.
            keep: Mask of the rows to add; by default all.
        """
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
        """The unbiased covariance; zeros for fewer than two vectors."""
        return self.scatter / max(self.count - 1, 1)


def moments(features: Float[np.ndarray, "n d"]) -> Moments:
    """Return the moments of `features`."""
    return Moments.empty(features.shape[-1]).add(features)


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return the Fréchet distance of two Gaussians with these moments (Dowson and Landau 1982), as FID uses it.

    The formula of FID (Heusel et al. 2017) is |mean_a - mean_b|^2 + tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2. The matrix
    under the last root is symmetric and positive semi-definite, so its eigenvalues give a real trace, also for fewer
    vectors than dimensions.

    Returns:
        The distance, at least 0.
    """
    return frechet_distances([a], b)[0]


def frechet_distances(several: Iterable[Moments], b: Moments) -> list[float]:
    """Return the `frechet_distance` of each of several Gaussians to one, whose matrix root is computed once."""
    root = _square_root(b.covariance)

    def distance(a: Moments) -> float:
        cross = np.linalg.eigvalsh(_symmetric(root @ a.covariance @ root))
        shared = np.sqrt(np.clip(cross, 0.0, None)).sum()
        apart = np.sum(np.square(a.mean - b.mean))
        return float(max(apart + np.trace(a.covariance) + np.trace(b.covariance) - 2.0 * shared, 0.0))

    return [distance(a) for a in several]


def psnr(a: UInt8[np.ndarray, "n h w c"], b: UInt8[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n"]:
    """Return the peak signal-to-noise ratio of each pair of images, in decibels; equal images give 58.9 dB."""
    return decibels(np.square(a.astype(np.float32) - b.astype(np.float32)).mean(axis=(1, 2, 3), dtype=np.float64))


def decibels(error: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Return the peak signal-to-noise ratio of mean square errors in grey levels; an error of 0 gives 58.9 dB."""
    return 10.0 * np.log10(255.0**2 / np.maximum(error, ROUNDING_ERROR))


def ssim(a: UInt8[np.ndarray, "n h w 3"], b: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n"]:
    """Return the structural similarity of each pair of images (Wang et al. 2004), in [-1, 1]; equal images give 1.

    It is the mean of `ssim_map`. Images must be at least 11 pixels high and wide.
    """
    return np.mean(ssim_map(a, b), axis=(1, 2))


def ssim_map(a: UInt8[np.ndarray, "n h w 3"], b: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n h-10 w-10"]:
    """Return the structural similarity of each pair of images around each pixel, in [-1, 1].

    It is computed on the luminance (ITU-R 601), with K1 = 0.01 and K2 = 0.03. Windows are 11x11 pixels, weighted by a
    Gaussian of standard deviation 1.5, and lie fully inside the image: the first one is centred on pixel (5, 5).
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
    return luminance * structure


@dataclass(frozen=True)
class FeatureSet:
    """Feature vectors, and what scores over pairs of them need, computed when it is first used."""

    vectors: Float[np.ndarray, "n d"]

    @functools.cached_property
    def kernel_mean(self) -> float:
        """The mean of KID's kernel over the pairs of different vectors."""
        count = len(self.vectors)
        return (_kernel_sum(self.vectors, self.vectors) - _kernel_diagonal(self.vectors)) / (count * (count - 1))

    @functools.cached_property
    def squared_radii(self) -> Float[np.ndarray, "n"]:
        """The squared distance of each vector to its NEIGHBOUR-th nearest other vector."""
        # Index 0 of each sorted row is the vector itself.
        found = [
            np.partition(_squared_distances(rows, self.vectors), NEIGHBOUR, axis=1)[:, NEIGHBOUR]
            for rows in _blocks(self.vectors)
        ]
        return np.concatenate(found)


def kernel_distance(a: FeatureSet, b: FeatureSet) -> float:
    """Return the squared maximum mean discrepancy of KID (Bińkowski et al. 2018), with kernel (x.y / d + 1)^3.

    The estimator is unbiased: its expectation is 0 if both sets come from one distribution, so it may be negative. It
    uses all pairs instead of random subsets.

    Raises:
        ValueError: If a set has fewer than two vectors.
    """
    n, m = len(a.vectors), len(b.vectors)
    if min(n, m) < 2:
        raise ValueError(f"the kernel distance of {n} and {m} vectors: each set needs at least two")
    return float(a.kernel_mean + b.kernel_mean - 2.0 * _kernel_sum(a.vectors, b.vectors) / (n * m))


def kernel_distances_without(
    a: Float[np.ndarray, "n d"], groups: Int[np.ndarray, "n"], b: FeatureSet
) -> Float[np.ndarray, "g"]:
    """Return the `kernel_distance` of `a` without each of its groups, which are numbered from 0, to `b`.

    The kernel is summed once for each two groups, so this costs little more than one distance.
    """
    parts = [a[groups == group] for group in range(int(groups.max()) + 1)]
    within = np.array([[_kernel_sum(rows, others) for others in parts] for rows in parts])
    own = np.array([_kernel_diagonal(rows) for rows in parts])
    across = np.array([_kernel_sum(rows, b.vectors) for rows in parts])
    n, m = len(a) - np.array([len(rows) for rows in parts]), len(b.vectors)
    # All pairs, less those with the group on either side, whose pairs with itself are then taken off twice.
    kept = within.sum() - within.sum(axis=0) - within.sum(axis=1) + np.diag(within) - (own.sum() - own)
    return kept / (n * (n - 1)) + b.kernel_mean - 2.0 * (across.sum() - across) / (n * m)


def precision_recall(generated: FeatureSet, real: FeatureSet) -> tuple[float, float]:
    """Return improved precision and recall (Kynkäänniemi et al. 2019), each in [0, 1].

    Each vector has a sphere whose radius is the distance to its NEIGHBOUR-th nearest vector of the same set. Precision
    is the share of generated vectors inside the sphere of a real one, recall the share of real vectors inside the
    sphere of a generated one.

    Raises:
        ValueError: If a set has no more than NEIGHBOUR vectors.
    """
    n, m = len(generated.vectors), len(real.vectors)
    if min(n, m) <= NEIGHBOUR:
        raise ValueError(f"precision and recall of {n} and {m} vectors: each set needs more than {NEIGHBOUR}")
    return _covered(generated.vectors, real), _covered(real.vectors, generated)


def _double(values: Num[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    return np.asarray(values, np.float64)


def _centred(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    values = _double(values)
    # A constant must give exact zeros; subtracting its rounded mean might not.
    return values - values.mean() if np.ptp(values) > 0 else np.zeros_like(values)


def _symmetric(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    return 0.5 * (matrix + matrix.T)


def _square_root(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """Return the symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(_symmetric(covariance))
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def _luminance(images: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n h w"]:
    return images.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def _gaussian_windows(side: int) -> Float[np.ndarray, "windows side"]:
    """Return the weights of an 11-pixel window at each of its positions in a line of `side` pixels."""
    weights = np.exp(-0.5 * np.square(np.arange(-5, 6) / 1.5))
    rows = np.zeros((side - 10, side))
    for start, row in enumerate(rows):
        row[start : start + 11] = weights / weights.sum()
    return rows


def _kernel(products: Float[np.ndarray, "*n"], dimensions: int) -> Float[np.ndarray, "*n"]:
    """Return KID's kernel from the scalar products."""
    base = products / dimensions + 1.0
    return base * base * base  # NumPy's power takes several times as long


def _kernel_sum(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Return the sum of the kernel over all pairs of a row of `a` and a row of `b`."""
    a, b = _double(a), _double(b)
    return sum(float(np.sum(_kernel(rows @ b.T, a.shape[1]))) for rows in _blocks(a))


def _kernel_diagonal(a: Float[np.ndarray, "n d"]) -> float:
    """Return the sum of the kernel over the pairs of each row with itself."""
    return float(np.sum(_kernel(np.sum(np.square(_double(a)), axis=1), a.shape[1])))


def _covered(vectors: Float[np.ndarray, "n d"], others: FeatureSet) -> float:
    """Return the share of `vectors` inside the sphere of any of `others`."""
    inside = [
        np.any(_squared_distances(rows, others.vectors) <= others.squared_radii, axis=1) for rows in _blocks(vectors)
    ]
    return float(np.mean(np.concatenate(inside)))


def _squared_distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    a, b = _double(a), _double(b)
    return np.maximum(np.sum(a * a, axis=1)[:, None] + np.sum(b * b, axis=1) - 2.0 * (a @ b.T), 0.0)


def _blocks(rows: Float[np.ndarray, "n d"], size: int = 1024) -> Iterator[Float[np.ndarray, "k d"]]:
    """Yield the rows in blocks, so that the full matrix of pairs is never in memory."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
