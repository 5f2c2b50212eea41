"""Section IV-C: transfer of the expressions of a filmed parent and infant to two still faces (Figure 8).

avLandmarkGAN's discriminator predicts the emotion of each frame, and avLandmarkGAN converts the stills of two other
people to these emotions (`models.transfer`). The regressor then predicts the emotions of the film and of the outputs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import metrics
from avlgan_jax.evaluation.experiments import baby
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, choose_people
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.faces.procedural.dyads import PERSONS
from avlgan_jax.models.inference import Trained
from avlgan_jax.models.transfer import Portrait, perform, read_emotions_in_disc

# Maximum number of frames in the curves; from a longer film, evenly spaced frames are used.
FRAMES = 300
# The frames that Figure 8 shows, named by the criterion that selects them (see `choose_moments`).
MOMENTS = ("both pleased", "both displeased", "farthest apart")
# Minimum distance between two chosen frames, as a fraction of the frames, so that they show different moments.
APART = 0.05


@dataclass(frozen=True)
class RoleTrack:
    """Emotions (valence, arousal) of one person of the dyad over f frames, and images of the m chosen moments."""

    annotated: Float[np.ndarray, "f 2"]
    """Labels of the film's frames."""
    targets: Float[np.ndarray, "f 2"]
    """Target emotions: the discriminator's predictions for the film's frames."""
    predicted: Float[np.ndarray, "f 2"]
    """The regressor's predictions for the film's frames."""
    transferred: Float[np.ndarray, "f 2"]
    """The regressor's predictions for the outputs."""
    film: UInt8[np.ndarray, "m h w 3"]
    """Frames of the film at the chosen moments."""
    performance: UInt8[np.ndarray, "m h w 3"]
    """Outputs at the chosen moments."""


@dataclass(frozen=True)
class TransferResult:
    """Results of the transfer of one dyad."""

    dyad: str
    """Identifier of the dyad in the data."""
    frames: Int[np.ndarray, "f"]
    """Frame numbers in the film."""
    moments: dict[str, int]
    """Index into `frames` of each of MOMENTS."""
    roles: dict[str, RoleTrack]
    """Results of each of PERSONS."""


def measure(models: Trained, frames: Faces, stills: Faces, seed: int) -> TransferResult | None:
    """Transfer the expressions of the first dyad with both people to the faces of an adult and an infant.

    Args:
        models: Models to run.
        frames: Frames of dyads.
        stills: Faces from which the adult and the infant are chosen.
        seed: Seed of the choice.

    Returns:
        The results, or None if the frames are not sequences (see `baby.has_sequences`) or no dyad has frames with both
        people.
    """
    dyad = _first_dyad(frames)
    if dyad is None:
        return None
    rows = _aligned(frames, dyad)
    portraits = _portraits(stills, seed)
    targets, predicted, transferred = {}, {}, {}
    for role, members in rows.items():
        chunks = [
            _transfer(models, frames, members[k : k + PICTURES_PER_CHUNK], portraits[role])
            for k in range(0, len(members), PICTURES_PER_CHUNK)
        ]
        targets[role], predicted[role], transferred[role] = (np.concatenate(part) for part in zip(*chunks, strict=True))
    moments = choose_moments(*(predicted[role][:, 0] for role in PERSONS))
    shown = np.array(list(moments.values()))
    return TransferResult(
        dyad=str(dyad),
        frames=np.asarray(frames.extras["frame"])[rows["parent"]],
        moments=moments,
        roles={
            role: RoleTrack(
                annotated=np.asarray(frames.emotions)[members],
                targets=targets[role],
                predicted=predicted[role],
                transferred=transferred[role],
                film=frames.images[members[shown]],
                performance=perform(models, portraits[role], targets[role][shown])[0],
            )
            for role, members in rows.items()
        },
    )


def to_metrics(found: TransferResult | None) -> dict:
    """Return `transfer` of `metrics.json`, which is empty if `found` is None.

    By role, `read_*` is the correlation of the discriminator's predictions with the labels of the film, and `arrived_*`
    the correlation of the regressor's predictions for the outputs with its predictions for the film.
    """
    if found is None:
        return {}
    numbers: dict = {
        "dyad": found.dyad,
        "frames": len(found.frames),
        "moments": {name: int(found.frames[index]) for name, index in found.moments.items()},
    }
    for name, role in found.roles.items():
        numbers[name] = {
            f"{kind}_{axis}": metrics.pcc(values[:, column], reference[:, column])
            for kind, values, reference in (
                ("read", role.targets, role.annotated),
                ("arrived", role.transferred, role.predicted),
            )
            for column, axis in enumerate(AXES)
        }
    return numbers


def _transfer(models: Trained, frames: Faces, rows: Int[np.ndarray, "k"], portrait: Portrait) -> tuple[np.ndarray, ...]:
    """Transfer some frames; return the target emotions and the predictions for the film and for the outputs."""
    film = frames.images[rows]
    targets = read_emotions_in_disc(models, film)
    outputs, _ = perform(models, portrait, targets)
    return targets, models.predict(film), models.predict(outputs)


def _first_dyad(frames: Faces) -> Shaped[np.ndarray, ""] | None:
    """Return the first dyad that has frames with both people, or None."""
    if not baby.has_sequences(frames) or "dyad" not in frames.extras:
        return None
    dyads = np.unique(np.asarray(frames.extras["dyad"]))
    return next((dyad for dyad in dyads if len(_aligned(frames, dyad)["parent"])), None)


def _aligned(frames: Faces, dyad: Shaped[np.ndarray, ""]) -> dict[str, Int[np.ndarray, "f"]]:
    """Return by role the rows of up to FRAMES evenly spaced frames that have both people, in the order of time."""
    number, infants = np.asarray(frames.extras["frame"]), np.asarray(frames.infants)
    own = np.asarray(frames.extras["dyad"]) == dyad
    rows = {role: np.flatnonzero(own & (infants == (role == "infant"))) for role in PERSONS}
    _, parent, infant = np.intersect1d(number[rows["parent"]], number[rows["infant"]], return_indices=True)
    kept = np.unique(np.linspace(0, max(len(parent) - 1, 0), min(FRAMES, len(parent))).astype(int))
    return {"parent": rows["parent"][parent[kept]], "infant": rows["infant"][infant[kept]]}


def _portraits(stills: Faces, seed: int) -> dict[str, Portrait]:
    """Choose an adult and an infant, or two people of the same age group if there is only one group."""
    chosen = choose_people(stills, seed, 2)
    rows = {"parent": chosen[0], "infant": chosen[-1]}
    return {role: Portrait(stills.images[row], np.asarray(stills.landmarks[row])) for role, row in rows.items()}


def choose_moments(parent: Float[np.ndarray, "n"], infant: Float[np.ndarray, "n"]) -> dict[str, int]:
    """Choose the frames to show from the valence of parent and infant in the same n frames.

    "both pleased" has the highest sum of the two valences, "both displeased" the lowest sum, "farthest apart" the
    largest difference. If the film is too short for the minimum distance APART, several moments may be the same frame.

    Returns:
        Index of the frame of each of MOMENTS.
    """
    criteria = (parent + infant, -(parent + infant), np.abs(parent - infant))
    frames = np.arange(len(parent))
    free = np.ones(len(parent), bool)
    chosen = {}
    for name, values in zip(MOMENTS, criteria, strict=True):
        chosen[name] = int(np.argmax(np.where(free, values, -np.inf) if free.any() else values))
        free &= np.abs(frames - chosen[name]) > APART * len(frames)
    return chosen
