"""Which faces the report shows, and what the models make of them.

Faces are chosen by a shuffle, never by how well they came out.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import ground_truth
from avlgan_jax.evaluation.ground_truth import Renderer
from avlgan_jax.evaluation.trials import MODELS, choose_people
from avlgan_jax.faces import emotions
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.models.inference import Trained

FACES = 6

# Valence and arousal of an avImage matrix. Its corners lie outside the unit disc, where no label lies.
MATRIX_STEPS = emotions.matrix_axis(9)
MATRICES = 4

# One target a row in the chain and in the comparison with the truth: named points of Table II, all around the plane.
ROW_EXPRESSIONS = ("happy", "surprise", "sad", "disgust", "neutral", "fear")


@dataclass(frozen=True)
class EmotionGrid:
    """One face at every pair of MATRIX_STEPS (Figure 5): row 0 has the highest arousal, column 0 the lowest valence.

    `grids` holds the outputs by model and, for drawn faces, the "truth".
    """

    image: UInt8[np.ndarray, "h w 3"]
    infant: bool
    name: str
    grids: dict[str, UInt8[np.ndarray, "rows columns h w 3"]]


@dataclass(frozen=True)
class ExampleRows:
    """Faces, one a row, with one target each, and what became of them: `outputs` by model and, if known, "truth"."""

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 2"]
    emotions: Float[np.ndarray, "n 2"]
    targets: Float[np.ndarray, "n 2"]
    moved: Float[np.ndarray, "n 68 2"]
    outputs: dict[str, UInt8[np.ndarray, "n h w 3"]]


@dataclass(frozen=True)
class ExpressionExamples:
    """Faces, and the eight expressions that avLandmarkGAN gives each of them (Figure 6)."""

    images: UInt8[np.ndarray, "n h w 3"]
    outputs: UInt8[np.ndarray, "n 8 h w 3"]


def rows(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> ExampleRows:
    """FACES faces, each asked for one of ROW_EXPRESSIONS; `render` as for `evaluation.measure`."""
    shown, targets = _asked(faces, seed)
    return ExampleRows(
        images=shown.images,
        landmarks=in_plane(shown.landmarks),
        emotions=shown.emotions,
        targets=targets,
        moved=in_plane(models.convert_landmarks(shown.landmarks, targets)),
        outputs=_outputs(models, shown, targets, render),
    )


def painted(models: Trained, faces: Faces, seed: int) -> UInt8[np.ndarray, "n h w 3"]:
    """What avLandmarkGAN of other models makes of the faces of `rows`."""
    shown, targets = _asked(faces, seed)
    return models.convert["avlandmarkgan"](shown.images, shown.landmarks, targets)


def expressions(models: Trained, faces: Faces, seed: int, means: Float[np.ndarray, "8 2"]) -> ExpressionExamples:
    """The same faces at the eight expressions, whose emotions are `means` (`table_ii.means`)."""
    shown = _shown(faces, seed)
    repeated = shown.take(np.repeat(np.arange(len(shown)), len(means)))
    outputs = models.convert["avlandmarkgan"](repeated.images, repeated.landmarks, np.tile(means, (len(shown), 1)))
    return ExpressionExamples(shown.images, outputs.reshape(len(shown), len(means), *outputs.shape[1:]))


def matrices(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> list[EmotionGrid]:
    """MATRICES of the same faces, each at every emotion of the grid."""
    shown = _shown(faces, seed)
    return [matrix(models, shown, index, render) for index in range(min(len(shown), MATRICES))]


def matrix(models: Trained, faces: Faces, index: int, render: Renderer | None) -> EmotionGrid:
    """Face `index` turned to every emotion of the grid by every model, and the truth where it is known."""
    steps = len(MATRIX_STEPS)
    arousal, valence = np.meshgrid(MATRIX_STEPS[::-1], MATRIX_STEPS, indexing="ij")
    targets = np.stack([valence, arousal], axis=-1).reshape(-1, 2)
    outputs = _outputs(models, faces.take(np.full(len(targets), index)), targets, render)
    return EmotionGrid(
        image=faces.images[index],
        infant=bool(faces.infants[index]),
        name=str(faces.ids[index]),
        grids={name: output.reshape(steps, steps, *output.shape[1:]) for name, output in outputs.items()},
    )


def _shown(faces: Faces, seed: int) -> Faces:
    return faces.take(choose_people(faces, seed, FACES))


def _asked(faces: Faces, seed: int) -> tuple[Faces, Float[np.ndarray, "n 2"]]:
    """The faces of `rows` and what each is asked for."""
    shown = _shown(faces, seed)
    named = [emotions.EXPRESSIONS.index(name) for name in ROW_EXPRESSIONS]
    return shown, emotions.TABLE_II[np.resize(named, len(shown))]


def _outputs(
    models: Trained, faces: Faces, targets: Float[np.ndarray, "n 2"], render: Renderer | None
) -> dict[str, UInt8[np.ndarray, "n h w 3"]]:
    outputs = {name: models.convert[name](faces.images, faces.landmarks, targets) for name in MODELS}
    if render is not None:
        outputs["truth"] = np.stack([image for image, _ in render(ground_truth.face_keys(faces), targets)])
    return outputs
