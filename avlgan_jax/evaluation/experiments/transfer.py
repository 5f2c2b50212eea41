"""Section IV-C: the expressions of a filmed parent and infant, transferred to another pair (Figure 8).

The discriminator of avLandmarkGAN reads each frame, two stills of other people perform what it read (`transfer`), and
the judge looks at both films.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import metrics
from avlgan_jax.evaluation.experiments import baby
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, choose_people
from avlgan_jax.models.inference import Trained
from avlgan_jax.models.transfer import Portrait, perform, read_emotions_in_disc

# Of a longer film so many frames, evenly spread, make the curves.
FRAMES = 300
ROLES = ("parent", "infant")
# The moments of a dyad that Figure 8 shows, by what sets them apart.
MOMENTS = ("both pleased", "both displeased", "farthest apart")
# Two chosen frames lie at least this share of the film apart, or they would show the same moment twice.
APART = 0.05


@dataclass(frozen=True)
class RoleTrack:
    """One of the two over f frames: what was annotated, read off the film, and judged before and after.

    Emotions are (valence, arousal): `annotated` in the data, `asked` as the discriminator read them, `judged` and
    `transferred` as the judge sees the film and the performance. `film` and `performance` are the pictures of the
    moments shown.
    """

    annotated: Float[np.ndarray, "f 2"]
    asked: Float[np.ndarray, "f 2"]
    judged: Float[np.ndarray, "f 2"]
    transferred: Float[np.ndarray, "f 2"]
    film: UInt8[np.ndarray, "m h w 3"]
    performance: UInt8[np.ndarray, "m h w 3"]


@dataclass(frozen=True)
class TransferResult:
    """A dyad and the pair that performed it: by ROLES, over frames of these numbers; `moments` index into them."""

    dyad: str
    frames: Int[np.ndarray, "f"]
    moments: dict[str, int]
    roles: dict[str, RoleTrack]


def measure(models: Trained, frames: Faces, stills: Faces, seed: int) -> TransferResult | None:
    """Transfer the first dyad of `frames` that has both people to an adult and an infant of `stills`.

    None where the frames are no sequences (`baby.are_frames`) or show nobody in company.
    """
    dyad = _first_dyad(frames)
    if dyad is None:
        return None
    rows = _aligned(frames, dyad)
    portraits = _portraits(stills, seed)
    asked, judged, transferred = {}, {}, {}
    for role, members in rows.items():
        found = [
            _over(models, frames, members[k : k + PICTURES_PER_CHUNK], portraits[role])
            for k in range(0, len(members), PICTURES_PER_CHUNK)
        ]
        asked[role], judged[role], transferred[role] = (np.concatenate(part) for part in zip(*found, strict=True))
    moments = choose_moments(*(judged[role][:, 0] for role in ROLES))
    shown = np.array(list(moments.values()))
    return TransferResult(
        dyad=str(dyad),
        frames=np.asarray(frames.extras["frame"])[rows["parent"]],
        moments=moments,
        roles={
            role: RoleTrack(
                annotated=np.asarray(frames.emotions)[members],
                asked=asked[role],
                judged=judged[role],
                transferred=transferred[role],
                film=frames.images[members[shown]],
                performance=perform(models, portraits[role], asked[role][shown])[0],
            )
            for role, members in rows.items()
        },
    )


def to_metrics(found: TransferResult | None) -> dict:
    """`transfer` of `metrics.json`: by role how well the film was read, and how much of it arrived.

    `read_*` is the correlation of the discriminator's reading with the annotation; `arrived_*` that of the judge's
    reading of the performance with its reading of the film.
    """
    if found is None:
        return {}
    told: dict = {
        "dyad": found.dyad,
        "frames": len(found.frames),
        "moments": {name: int(found.frames[index]) for name, index in found.moments.items()},
    }
    for name, role in found.roles.items():
        told[name] = {
            f"{what}_{axis}": metrics.pcc(one[:, column], other[:, column])
            for what, one, other in (
                ("read", role.asked, role.annotated),
                ("arrived", role.transferred, role.judged),
            )
            for column, axis in enumerate(("valence", "arousal"))
        }
    return told


def _over(models: Trained, frames: Faces, rows: Int[np.ndarray, "k"], portrait: Portrait) -> tuple[np.ndarray, ...]:
    film = frames.images[rows]
    asked = read_emotions_in_disc(models, film)
    performance, _ = perform(models, portrait, asked)
    return asked, models.predict(film), models.predict(performance)


def _first_dyad(frames: Faces) -> Shaped[np.ndarray, ""] | None:
    if not baby.has_sequences(frames) or "dyad" not in frames.extras:
        return None
    dyads = np.unique(np.asarray(frames.extras["dyad"]))
    return next((dyad for dyad in dyads if len(_aligned(frames, dyad)["parent"])), None)


def _aligned(frames: Faces, dyad: Shaped[np.ndarray, ""]) -> dict[str, Int[np.ndarray, "f"]]:
    """By role the rows of up to FRAMES frames, evenly spread, in which both are seen, in the order of time."""
    number, infants = np.asarray(frames.extras["frame"]), np.asarray(frames.infants)
    own = np.asarray(frames.extras["dyad"]) == dyad
    rows = {role: np.flatnonzero(own & (infants == (role == "infant"))) for role in ROLES}
    _, parent, infant = np.intersect1d(number[rows["parent"]], number[rows["infant"]], return_indices=True)
    kept = np.unique(np.linspace(0, max(len(parent) - 1, 0), min(FRAMES, len(parent))).astype(int))
    return {"parent": rows["parent"][parent[kept]], "infant": rows["infant"][infant[kept]]}


def _portraits(stills: Faces, seed: int) -> dict[str, Portrait]:
    """An adult and an infant; where there are only people of one kind, two of them."""
    chosen = choose_people(stills, seed, 2)
    rows = {"parent": chosen[0], "infant": chosen[-1]}
    return {role: Portrait(stills.images[row], np.asarray(stills.landmarks[row])) for role, row in rows.items()}


def choose_moments(parent: Float[np.ndarray, "n"], infant: Float[np.ndarray, "n"]) -> dict[str, int]:
    """The frames worth showing, by MOMENTS, from the valences of parent and infant in the same n frames.

    In a film too short to keep them apart, several moments may be one frame.
    """
    wanted = (parent + infant, -(parent + infant), np.abs(parent - infant))
    frames = np.arange(len(parent))
    free = np.ones(len(parent), bool)
    chosen = {}
    for name, worth in zip(MOMENTS, wanted, strict=True):
        chosen[name] = int(np.argmax(np.where(free, worth, -np.inf) if free.any() else worth))
        free &= np.abs(frames - chosen[name]) > APART * len(frames)
    return chosen
