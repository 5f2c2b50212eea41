"""Example faces of the report, and the models' outputs for them.

Faces are chosen at random, never by the quality of the outputs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from avlgan_jax.data.records import AGE_GROUPS, Faces
from avlgan_jax.evaluation import ground_truth
from avlgan_jax.evaluation.baselines import WARP, compiled_warp
from avlgan_jax.evaluation.ground_truth import Renderer
from avlgan_jax.evaluation.trials import by_group, choose_people
from avlgan_jax.faces import emotions
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.models.inference import Trained

FACES = 6

# Valence and arousal values of an avImage matrix. Its corners lie outside the unit disc, where there are no labels.
MATRIX_STEPS = emotions.matrix_axis(9)
MATRICES = 4

# Targets of the rows in the chain figure and in the comparison with the ground truth, by their names in Table II. They
# are spread around the valence-arousal plane.
ROW_EXPRESSIONS = ("happy", "surprise", "sad", "disgust", "neutral", "fear")

# Targets of the sheets of moves: valence and arousal. Faces that wake up are chosen among the least aroused, faces that
# fall asleep among the most aroused, so that eyes open and close.
MOVES = {
    "smile": (0.8, 0.3),
    "cry": (-0.8, 0.45),
    "surprise": (0.2, 0.85),
    "anger": (-0.45, 0.7),
    "fall asleep": (0.0, -0.9),
    "wake up": (0.1, 0.6),
}
FACES_PER_MOVE = 2


@dataclass(frozen=True)
class EmotionGrid:
    """One face at every pair of MATRIX_STEPS (Figure 5)."""

    image: UInt8[np.ndarray, "h w 3"]
    """The input."""
    infant: bool
    name: str
    """The face's id in the data set."""
    grids: dict[str, UInt8[np.ndarray, "rows columns h w 3"]]
    """Outputs by model and, for drawn faces, the ground truth under "truth". Row 0 has the highest arousal, column 0
    the lowest valence."""


@dataclass(frozen=True)
class ExampleRows:
    """Faces, one per row, each with one target emotion and the outputs for it. Landmarks are in pixels."""

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 2"]
    emotions: Float[np.ndarray, "n 2"]
    """Labels of the inputs."""
    targets: Float[np.ndarray, "n 2"]
    moved: Float[np.ndarray, "n 68 2"]
    """Landmarks converted to the targets."""
    outputs: dict[str, UInt8[np.ndarray, "n h w 3"]]
    """Outputs by model and, for drawn faces, the ground truth under "truth"."""


@dataclass(frozen=True)
class ExpressionExamples:
    """Faces, and avLandmarkGAN's output for each of them at the eight expressions (Figure 6)."""

    images: UInt8[np.ndarray, "n h w 3"]
    outputs: UInt8[np.ndarray, "n 8 h w 3"]


def rows(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> ExampleRows:
    """Return up to FACES faces, each converted to one of ROW_EXPRESSIONS.

    Args:
        models: Models to run.
        faces: Faces to choose from.
        seed: Seed of the choice.
        render: Renderer of the ground truth, or None if there is none (see `trials.measure`).
    """
    return _example_rows(models, *_faces_and_targets(faces, seed), render)


def moves(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> dict[str, ExampleRows]:
    """Return FACES_PER_MOVE faces for each of MOVES, by age group; arguments as for `rows`.

    The outputs also have the source moved by the converted landmarks and not painted, under "warp".
    """
    found = {}
    for group in AGE_GROUPS:
        members = np.flatnonzero(by_group(faces.infants)[group])
        if len(members) < len(MOVES) * FACES_PER_MOVE:
            continue
        shown = faces.take(_faces_for_moves(faces, members, seed))
        targets = np.repeat(np.array(list(MOVES.values()), np.float32), FACES_PER_MOVE, axis=0)
        rows = _example_rows(models, shown, targets, render)
        rows.outputs[WARP] = compiled_warp()(rows.images, rows.landmarks, rows.moved)
        found[group] = rows
    return found


def _faces_for_moves(faces: Faces, members: Int[np.ndarray, "m"], seed: int) -> list[int]:
    """Return FACES_PER_MOVE faces for each of MOVES: indices among `members`, of different people if possible."""
    order = np.random.default_rng([seed, 0x307E]).permutation(members)
    arousal = np.asarray(faces.emotions)[order, 1]
    rated = ~np.isnan(arousal)
    by_arousal = order[rated][np.argsort(arousal[rated], kind="stable")]
    tenth = max(len(order) // 10, FACES_PER_MOVE)
    pools = {"fall asleep": by_arousal[-tenth:], "wake up": by_arousal[:tenth]}
    if len(by_arousal) < 2 * tenth:  # too few faces with that label to choose among
        pools = {}
    subjects, chosen, taken = np.asarray(faces.subjects), {}, []
    for name in sorted(MOVES, key=lambda name: name not in pools):  # first the moves with few faces to choose from
        for _ in range(FACES_PER_MOVE):
            pool = pools.get(name, order)
            free = pool[~np.isin(pool, taken)]
            strangers = free[~np.isin(subjects[free], subjects[taken])]
            taken.append(int((strangers if len(strangers) else free)[0]))
        chosen[name] = taken[-FACES_PER_MOVE:]
    return [face for name in MOVES for face in chosen[name]]


def painted(models: Trained, faces: Faces, seed: int) -> UInt8[np.ndarray, "n h w 3"]:
    """Return the outputs of avLandmarkGAN of `models` for the faces and targets that `rows` chooses."""
    shown, targets = _faces_and_targets(faces, seed)
    return models.convert["avlandmarkgan"](shown.images, shown.landmarks, targets)


def expressions(models: Trained, faces: Faces, seed: int, means: Float[np.ndarray, "8 2"]) -> ExpressionExamples:
    """Return the faces that `rows` chooses, converted to each of the eight expressions.

    Args:
        models: Models to run.
        faces: Faces to choose from.
        seed: Seed of the choice.
        means: Valence and arousal of each expression (see `table_ii.means`).
    """
    shown = _choose_faces(faces, seed)
    repeated = shown.take(np.repeat(np.arange(len(shown)), len(means)))
    outputs = models.convert["avlandmarkgan"](repeated.images, repeated.landmarks, np.tile(means, (len(shown), 1)))
    return ExpressionExamples(shown.images, outputs.reshape(len(shown), len(means), *outputs.shape[1:]))


def matrices(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> list[EmotionGrid]:
    """Return a matrix for each of the first MATRICES faces that `rows` chooses; arguments as for `rows`."""
    shown = _choose_faces(faces, seed)
    return [matrix(models, shown, index, render) for index in range(min(len(shown), MATRICES))]


def matrix(models: Trained, faces: Faces, index: int, render: Renderer | None) -> EmotionGrid:
    """Return face `index` at every emotion of the grid, converted by each model; `render` as for `rows`."""
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


def _choose_faces(faces: Faces, seed: int) -> Faces:
    """Return up to FACES faces of different people."""
    return faces.take(choose_people(faces, seed, FACES))


def _faces_and_targets(faces: Faces, seed: int) -> tuple[Faces, Float[np.ndarray, "n 2"]]:
    """Return the faces of `rows` and the target emotion of each."""
    shown = _choose_faces(faces, seed)
    named = [emotions.EXPRESSIONS.index(name) for name in ROW_EXPRESSIONS]
    return shown, emotions.TABLE_II[np.resize(named, len(shown))]


def _example_rows(
    models: Trained, faces: Faces, targets: Float[np.ndarray, "n 2"], render: Renderer | None
) -> ExampleRows:
    return ExampleRows(
        images=faces.images,
        landmarks=in_plane(faces.landmarks),
        emotions=faces.emotions,
        targets=targets,
        moved=in_plane(models.convert_landmarks(faces.landmarks, targets)),
        outputs=_outputs(models, faces, targets, render),
    )


def _outputs(
    models: Trained, faces: Faces, targets: Float[np.ndarray, "n 2"], render: Renderer | None
) -> dict[str, UInt8[np.ndarray, "n h w 3"]]:
    """Return the outputs by model and, where `render` is given, the ground truth under "truth"."""
    outputs = {name: convert(faces.images, faces.landmarks, targets) for name, convert in models.convert.items()}
    if render is not None:
        outputs["truth"] = np.stack([image for image, _ in render(ground_truth.face_keys(faces), targets)])
    return outputs
