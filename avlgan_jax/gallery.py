"""Which faces the report shows, and what the models make of them.

Faces are chosen by a shuffle, never by how well they came out.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from avlgan_jax import affect, truth
from avlgan_jax.evaluation import MODELS
from avlgan_jax.records import Faces
from avlgan_jax.trained import Trained
from avlgan_jax.truth import Render

FACES = 6

# Valence and arousal of an avImage matrix. Its corners lie outside the unit disc, where no label lies.
MATRIX_STEPS = np.linspace(-0.8, 0.8, 9).round(1).astype(np.float32)
MATRICES = 4

# One target a row in the chain and in the comparison with the truth: named points of Table II, all around the plane.
ROW_EXPRESSIONS = ("happy", "surprise", "sad", "disgust", "neutral", "fear")


@dataclass(frozen=True)
class Matrix:
    """One face at every pair of MATRIX_STEPS (Figure 5): row 0 has the highest arousal, column 0 the lowest valence.

    `grids` holds the outputs by model and, for drawn faces, the "truth".
    """

    image: UInt8[np.ndarray, "h w 3"]
    infant: bool
    name: str
    grids: dict[str, UInt8[np.ndarray, "rows columns h w 3"]]


@dataclass(frozen=True)
class Rows:
    """Faces, one a row, with one target each, and what became of them: `outputs` by model and, if known, "truth"."""

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 2"]
    emotions: Float[np.ndarray, "n 2"]
    targets: Float[np.ndarray, "n 2"]
    moved: Float[np.ndarray, "n 68 2"]
    outputs: dict[str, UInt8[np.ndarray, "n h w 3"]]


@dataclass(frozen=True)
class Gallery:
    """All faces of the report. `expressions`: those of `rows` by avLandmarkGAN at the emotions of Table II."""

    rows: Rows
    expressions: UInt8[np.ndarray, "n 8 h w 3"]
    matrices: list[Matrix]


def collect(
    models: Trained, faces: Faces, seed: int, render: Render | None, means: Float[np.ndarray, "8 2"] = affect.TABLE_II
) -> Gallery:
    """Choose FACES faces and generate everything the report shows of them; `render` as for `evaluation.measure`.

    `means` are the emotions at which the eight expressions are shown (Figure 6).
    """
    shown = faces.take(choose(faces, seed, FACES))
    count = len(shown)
    named = [affect.EXPRESSIONS.index(name) for name in ROW_EXPRESSIONS]
    targets = affect.TABLE_II[np.resize(named, count)]
    rows = Rows(
        images=shown.images,
        landmarks=shown.landmarks,
        emotions=shown.emotions,
        targets=targets,
        moved=models.convert_landmarks(shown.landmarks, targets),
        outputs=_outputs(models, shown, targets, render),
    )
    return Gallery(
        rows=rows,
        expressions=_expressions(models, shown, means),
        matrices=[matrix(models, shown, index, render) for index in range(min(count, MATRICES))],
    )


def choose(faces: Faces, seed: int, count: int) -> Int[np.ndarray, "n"]:
    """Up to `count` faces of different people, adults and infants in turn as far as there are both."""
    order = np.random.default_rng([seed, 0xFACE]).permutation(len(faces))
    _, first = np.unique(np.asarray(faces.subjects)[order], return_index=True)
    order = order[np.sort(first)]
    adults, infants = order[~faces.infants[order]], order[faces.infants[order]]
    in_turn = [index for pair in zip(adults, infants, strict=False) for index in pair]
    both = min(len(adults), len(infants))
    return np.array([*in_turn, *adults[both:], *infants[both:]][:count], np.int64)


def matrix(models: Trained, faces: Faces, index: int, render: Render | None) -> Matrix:
    """Face `index` turned to every emotion of the grid by every model, and the truth where it is known."""
    steps = len(MATRIX_STEPS)
    arousal, valence = np.meshgrid(MATRIX_STEPS[::-1], MATRIX_STEPS, indexing="ij")
    targets = np.stack([valence, arousal], axis=-1).reshape(-1, 2)
    outputs = _outputs(models, faces.take(np.full(len(targets), index)), targets, render)
    return Matrix(
        image=faces.images[index],
        infant=bool(faces.infants[index]),
        name=str(faces.ids[index]),
        grids={name: output.reshape(steps, steps, *output.shape[1:]) for name, output in outputs.items()},
    )


def _expressions(models: Trained, faces: Faces, means: Float[np.ndarray, "8 2"]) -> UInt8[np.ndarray, "n 8 h w 3"]:
    repeated = faces.take(np.repeat(np.arange(len(faces)), len(means)))
    outputs = models.convert["avlandmarkgan"](repeated.images, repeated.landmarks, np.tile(means, (len(faces), 1)))
    return outputs.reshape(len(faces), len(means), *outputs.shape[1:])


def _outputs(
    models: Trained, faces: Faces, targets: Float[np.ndarray, "n 2"], render: Render | None
) -> dict[str, UInt8[np.ndarray, "n h w 3"]]:
    outputs = {name: models.convert[name](faces.images, faces.landmarks, targets) for name in MODELS}
    if render is not None:
        outputs["truth"] = np.stack([image for image, _ in render(truth.keys(faces), targets)])
    return outputs
