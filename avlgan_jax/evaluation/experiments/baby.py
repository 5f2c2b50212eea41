"""Section IV-B: does asking by landmarks help on infants' faces? The valence asked for against the valence judged.

Frame 1 of a person is the input, each later frame's annotated emotion in turn the target.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import bootstrap, metrics
from avlgan_jax.evaluation.trials import MODELS, PICTURES_PER_CHUNK
from avlgan_jax.models.inference import Trained

# Annotators of a frame may differ by this standard deviation of their valences at most (Section IV-B, 3).
DEVIATION = 0.2
FRAMES_PER_SECOND = 30

# At 30 frames a second neighbours hardly differ, so every third frame of a person is asked for.
EVERY = 3

# The paper's correlations, on frames that are not public.
PAPER = {"infant": {"avgan": 0.49, "avlandmarkgan": 0.70}, "parent": {"avgan": 0.64, "avlandmarkgan": 0.65}}


@dataclass(frozen=True)
class JudgedFrames:
    """The frames of one age group: annotated valence, and by model what the judge reads in its answer.

    "real" is the judge on the frame itself. `people` and `seconds` name the person, and the person's second, of each.
    """

    expected: Float[np.ndarray, "n"]
    predicted: dict[str, Float[np.ndarray, "n"]]
    people: Shaped[np.ndarray, "n"]
    seconds: Shaped[np.ndarray, "n"]


def has_sequences(faces: Faces) -> bool:
    """Whether the faces are frames of sequences, which Section IV-B needs, and not single pictures."""
    return len(faces) > 0 and bool(np.all(np.asarray(faces.extras.get("frame", -1)) >= 0))


def measure(models: Trained, frames: Faces) -> dict[str, JudgedFrames]:
    """The protocol on a split of sequences (`are_frames`); returns "infant" and "parent", as far as there are any.

    Frames whose annotators disagree (`extras["valence_deviation"]`, where the data has it) are left out. The paper's
    frames carry valence only; where arousal is known the target has it too, as in training.
    """
    number = np.asarray(frames.extras["frame"])
    agreed = np.asarray(frames.extras.get("valence_deviation", np.zeros(len(frames)))) <= DEVIATION
    first, turn = _in_sequence(frames.subjects, number)
    asked = np.flatnonzero(agreed & (turn % EVERY == 0) & (turn > 0))
    found = {}
    for name, infants in (("infant", True), ("parent", False)):
        rows = asked[np.asarray(frames.infants)[asked] == infants]
        if len(rows):
            judged = {model: _judged(models, model, frames, first[rows], rows) for model in MODELS}
            found[name] = JudgedFrames(
                expected=np.asarray(frames.emotions)[rows, 0],
                predicted=judged | {"real": _valence(models, frames, rows)},
                people=np.asarray(frames.subjects)[rows],
                seconds=np.array([f"{frames.subjects[row]}/{number[row] // FRAMES_PER_SECOND}" for row in rows]),
            )
    return found


def to_metrics(found: dict[str, JudgedFrames], seed: int) -> dict:
    """`baby` of `metrics.json`: by age group and model the correlation of valence, with its 95 % interval.

    `pcc_valence` is the paper's, over all frames. People differ in their mean, so with few of them a model that ignores
    its target may score well, or ill, by luck: `pcc_valence_within` is the correlation after each person's own mean is
    taken away. Nor does a correlation ask how far a face moves (untrained weights reach .8 by moving a little, always
    alike): `ccc_valence` does. What is drawn again is seconds of video, for there are few people; the intervals do not
    speak for others.
    """
    told: dict = {}
    for name, frames in found.items():
        seconds = bootstrap.draw_people(frames.seconds, seed)
        told[name] = {"frames": len(frames.expected), "people": len(np.unique(frames.people))}
        own = _about_own_mean(frames.expected, frames.people)
        for model, predicted in frames.predicted.items():
            pcc, interval = _correlation(predicted, frames.expected, seconds)
            within, interval_within = _correlation(_about_own_mean(predicted, frames.people), own, seconds)
            told[name][model] = {
                "pcc_valence": pcc,
                "interval": interval,
                "pcc_valence_within": within,
                "interval_within": interval_within,
                "ccc_valence": metrics.ccc(predicted, frames.expected),
                "paper": PAPER[name].get(model),
            }
    return told


def _correlation(
    predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"], seconds: bootstrap.People
) -> tuple[float, list[float] | None]:
    draws = bootstrap.affect_draws(_twice(predicted), _twice(expected), seconds)["pcc_valence"]
    return metrics.pcc(predicted, expected), bootstrap.interval(draws)


def _about_own_mean(values: Float[np.ndarray, "n"], people: Shaped[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    _, person = np.unique(people, return_inverse=True)
    means = np.bincount(person, weights=values) / np.bincount(person)
    return values - means[person]


def _judged(
    models: Trained, name: str, frames: Faces, sources: Int[np.ndarray, "n"], rows: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    valences = []
    for start in range(0, len(rows), PICTURES_PER_CHUNK):
        source, target = sources[start : start + PICTURES_PER_CHUNK], rows[start : start + PICTURES_PER_CHUNK]
        output = models.convert[name](frames.images[source], frames.landmarks[source], frames.emotions[target])
        valences.append(models.predict(output)[:, 0])
    return np.concatenate(valences)


def _valence(models: Trained, frames: Faces, rows: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    parts = [
        models.predict(frames.images[rows[start : start + PICTURES_PER_CHUNK]])
        for start in range(0, len(rows), PICTURES_PER_CHUNK)
    ]
    return np.concatenate(parts)[:, 0]


def _in_sequence(
    subjects: Shaped[np.ndarray, "n"], number: Int[np.ndarray, "n"]
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """For each row, the row of the same person's first frame, and how many of the person's frames lie before it."""
    _, person = np.unique(np.asarray(subjects), return_inverse=True)
    order = np.lexsort((number, person))
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    start_of = starts[person]
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order))
    return order[start_of], turn - start_of


def _twice(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
    return np.stack([values, values], axis=-1)
