"""Section IV-C: transfer of the expressions of a filmed parent and infant to two still faces (Figure 8).

avLandmarkGAN's discriminator predicts the emotion of each frame, and avLandmarkGAN converts the stills of two other
people to these emotions (`models.transfer`). The regressor then predicts the emotions of the film and of the outputs.
Every dyad is transferred, each to another adult and infant as far as there are some, and never to its own people; one
dyad is shown.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import bootstrap, metrics
from avlgan_jax.evaluation.experiments import baby
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, choose_people
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.faces.procedural.dyads import PERSONS
from avlgan_jax.models.inference import Trained
from avlgan_jax.models.transfer import Portrait, perform, read_emotions_in_disc

# Maximum number of frames of a film; from a longer one, evenly spaced frames are used.
FRAMES = 300
# The frames that Figure 8 shows, named by the criterion that selects them (see `choose_moments`).
MOMENTS = ("both pleased", "both displeased", "farthest apart")
# Minimum distance between two chosen frames, as a fraction of the frames, so that they show different moments.
APART = 0.05


@dataclass(frozen=True)
class RoleTrack:
    """Emotions (valence, arousal) of one person of a dyad over f frames."""

    annotated: Float[np.ndarray, "f 2"]
    """Labels of the film's frames, NaN where there is none."""
    targets: Float[np.ndarray, "f 2"]
    """Target emotions: the discriminator's predictions for the film's frames."""
    predicted: Float[np.ndarray, "f 2"]
    """The regressor's predictions for the film's frames."""
    transferred: Float[np.ndarray, "f 2"]
    """The regressor's predictions for the outputs."""


@dataclass(frozen=True)
class ShownRole:
    """Images of one person of the shown dyad at the m chosen moments."""

    film: UInt8[np.ndarray, "m h w 3"]
    """Frames of the film."""
    performance: UInt8[np.ndarray, "m h w 3"]
    """Outputs."""


@dataclass(frozen=True)
class TransferResult:
    """Results of the transfer of all dyads; `frames`, `moments`, `roles` and `shown` are those of the first."""

    dyad: str
    """Identifier of the first dyad in the data."""
    frames: Int[np.ndarray, "f"]
    """Frame numbers in the film."""
    moments: dict[str, int]
    """Index into `frames` of each of MOMENTS."""
    shown: dict[str, ShownRole]
    """Pictures of each of PERSONS."""
    tracks: list[dict[str, RoleTrack]]
    """Results of each of PERSONS, for every dyad."""

    @property
    def roles(self) -> dict[str, RoleTrack]:
        """Results of each of PERSONS of the first dyad."""
        return self.tracks[0]


def measure(models: Trained, frames: Faces, stills: Faces, seed: int) -> TransferResult | None:
    """Transfer the expressions of every dyad with both people to the faces of an adult and an infant.

    Args:
        models: Models to run.
        frames: Frames of dyads.
        stills: Faces from which the adults and the infants are chosen.
        seed: Seed of the choice.

    Returns:
        The results, or None if the frames are not sequences (see `baby.has_sequences`), no dyad has frames with both
        people, or the stills show nobody but the people of the dyad. A dyad with nobody else is left out.
    """
    dyads = _dyads(frames)
    chosen_people = _portraits(stills, seed, [_people(frames, dyad) for dyad in dyads.values()])
    pairs = {name: found for name, found in zip(dyads, chosen_people, strict=True) if found is not None}
    if not pairs:
        return None
    tracks = [
        {role: _track(models, frames, members, portraits[role]) for role, members in dyads[name].items()}
        for name, portraits in pairs.items()
    ]
    name, portraits = next(iter(pairs.items()))
    rows = dyads[name]
    moments = choose_moments(*(tracks[0][role].predicted[:, 0] for role in PERSONS))
    chosen = np.array(list(moments.values()))
    return TransferResult(
        dyad=name,
        frames=np.asarray(frames.extras["frame"])[rows["parent"]],
        moments=moments,
        shown={
            role: ShownRole(
                film=frames.images[members[chosen]],
                performance=perform(models, portraits[role], tracks[0][role].targets[chosen])[0],
            )
            for role, members in rows.items()
        },
        tracks=tracks,
    )


def to_metrics(found: TransferResult | None, seed: int = 0) -> dict:
    """Return `transfer` of `metrics.json`, which is empty if `found` is None.

    By role, `read_*` is the correlation of the discriminator's predictions with the labels of the film, and `arrived_*`
    the correlation of the regressor's predictions for the outputs with its predictions for the film. For `parent` and
    `infant` they are those of the shown dyad; `dyads` has their number, and by role the mean over dyads, its 95 %
    interval over dyads, and their standard deviation and range.

    Args:
        found: Result of `measure`.
        seed: Seed of the bootstrap.
    """
    if found is None:
        return {}
    correlations = [{role: _correlations(track) for role, track in tracks.items()} for tracks in found.tracks]
    return {
        "dyad": found.dyad,
        "frames": len(found.frames),
        "moments": {name: int(found.frames[index]) for name, index in found.moments.items()},
        **correlations[0],
        "dyads": {
            "count": len(correlations),
            **{
                role: {
                    key: _over_dyads([dyad[role][key] for dyad in correlations], seed) for key in correlations[0][role]
                }
                for role in PERSONS
            },
        },
    }


def _correlations(track: RoleTrack) -> dict[str, float | None]:
    """Return the correlations of one person of one dyad; None where fewer than two frames have a label."""
    found = {}
    for kind, values, reference in (
        ("read", track.targets, track.annotated),
        ("arrived", track.transferred, track.predicted),
    ):
        for column, axis in enumerate(AXES):
            known = ~np.isnan(reference[:, column])
            enough = known.sum() >= 2
            correlation = metrics.pcc(values[known, column], reference[known, column]) if enough else None
            found[f"{kind}_{axis}"] = correlation
    return found


def _over_dyads(values: list[float | None], seed: int) -> dict | None:
    """Return the mean of a correlation over the dyads that have it, its interval, its spread and range; or None."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    draws = bootstrap.mean_draws(known, bootstrap.draw_people(np.arange(len(known)), seed))
    return {
        "dyads": len(known),
        "mean": float(known.mean()),
        "interval": bootstrap.interval(draws),
        "deviation": float(known.std(ddof=1)) if len(known) > 1 else None,
        "lowest": float(known.min()),
        "highest": float(known.max()),
    }


def _track(models: Trained, frames: Faces, members: Int[np.ndarray, "f"], portrait: Portrait) -> RoleTrack:
    """Transfer the frames of one person to the face of `portrait`."""
    chunks = [
        _transfer(models, frames, members[k : k + PICTURES_PER_CHUNK], portrait)
        for k in range(0, len(members), PICTURES_PER_CHUNK)
    ]
    targets, predicted, transferred = (np.concatenate(part) for part in zip(*chunks, strict=True))
    return RoleTrack(np.asarray(frames.emotions)[members], targets, predicted, transferred)


def _transfer(models: Trained, frames: Faces, rows: Int[np.ndarray, "k"], portrait: Portrait) -> tuple[np.ndarray, ...]:
    """Transfer some frames; return the target emotions and the predictions for the film and for the outputs."""
    film = frames.images[rows]
    targets = read_emotions_in_disc(models, film)
    outputs, _ = perform(models, portrait, targets)
    return targets, models.predict(film), models.predict(outputs)


def _dyads(frames: Faces) -> dict[str, dict[str, Int[np.ndarray, "f"]]]:
    """Return the rows of `_aligned` of each dyad that has frames with both people, by its name in the data."""
    if not baby.has_sequences(frames) or "dyad" not in frames.extras:
        return {}
    aligned = {str(dyad): _aligned(frames, dyad) for dyad in np.unique(np.asarray(frames.extras["dyad"]))}
    return {dyad: rows for dyad, rows in aligned.items() if len(rows["parent"])}


def _aligned(frames: Faces, dyad: Shaped[np.ndarray, ""]) -> dict[str, Int[np.ndarray, "f"]]:
    """Return by role the rows of up to FRAMES evenly spaced frames that have both people, in the order of time."""
    number, infants = np.asarray(frames.extras["frame"]), np.asarray(frames.infants)
    own = np.asarray(frames.extras["dyad"]) == dyad
    rows = {role: np.flatnonzero(own & (infants == (role == "infant"))) for role in PERSONS}
    _, parent, infant = np.intersect1d(number[rows["parent"]], number[rows["infant"]], return_indices=True)
    kept = np.unique(np.linspace(0, max(len(parent) - 1, 0), min(FRAMES, len(parent))).astype(int))
    return {"parent": rows["parent"][parent[kept]], "infant": rows["infant"][infant[kept]]}


def _people(faces: Faces, dyad: dict[str, Int[np.ndarray, "f"]]) -> set[str]:
    """Return the people in the frames of one dyad."""
    return {str(name) for rows in dyad.values() for name in np.asarray(faces.subjects)[rows]}


def _portraits(stills: Faces, seed: int, dyads: list[set[str]]) -> list[dict[str, Portrait] | None]:
    """Choose an adult and an infant for each dyad, other people than those of the dyad.

    Each dyad gets the next people, again from the first where there are too few. Where nobody else is of an age group,
    somebody of the other group takes the place.

    Args:
        stills: Faces to choose from.
        seed: Seed of the choice.
        dyads: The people of each dyad.

    Returns:
        The portrait of each role by dyad; None for a dyad that shows everybody there is.
    """
    everyone = choose_people(stills, seed, len(stills))
    names = np.asarray(stills.subjects).astype(str)
    infants = stills.infants[everyone]
    groups = {"parent": everyone[~infants], "infant": everyone[infants]}

    def choose(k: int, role: str, taken: set[str]) -> int | None:
        in_turn = [*np.roll(groups[role], -k), *np.roll(everyone, -k)]
        others = [row for row in in_turn if names[row] not in dyads[k]]
        return next((row for row in others if names[row] not in taken), others[0] if others else None)

    chosen: list[dict[str, Portrait] | None] = []
    for k in range(len(dyads)):
        rows: dict[str, int | None] = {}
        for role in PERSONS:
            rows[role] = choose(k, role, {names[row] for row in rows.values() if row is not None})
        found = {role: Portrait(stills.images[row], np.asarray(stills.landmarks[row])) for role, row in rows.items()}
        chosen.append(found if None not in rows.values() else None)
    return chosen


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
