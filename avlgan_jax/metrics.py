"""What is measured: agreement of emotions, distance of feature distributions, likeness of pictures.

Everything here takes numpy arrays, computes in float64 and gives plain numbers or arrays.
"""

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
