"""Section IV-B: correlation of target and predicted valence on infants and parents, with and without landmarks.

The input is a person's first frame; the targets are the annotated emotions of the person's later frames.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import bootstrap, metrics
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK
from avlgan_jax.models.inference import Trained

# Maximum standard deviation of the valence among the annotators of a frame (Section IV-B, 3).
DEVIATION = 0.2
FRAMES_PER_SECOND = 30

# Every third frame of a person is a target: at 30 frames per second neighbouring frames hardly differ.
EVERY = 3

# Correlations reported in the paper, on frames that are not public.
PAPER = {"infant": {"avgan": 0.49, "avlandmarkgan": 0.70}, "parent": {"avgan": 0.64, "avlandmarkgan": 0.65}}


@dataclass(frozen=True)
class FramePredictions:
    """Target and predicted valence on the frames of one age group."""

    expected: Float[np.ndarray, "n"]
    """Annotated valence of the frame, which is the target."""
    predicted: dict[str, Float[np.ndarray, "n"]]
    """Valence that the regressor predicts for each model's output and, under "real", for the frame itself."""
    people: Shaped[np.ndarray, "n"]
    """Identifier of the person in the frame."""
    seconds: Shaped[np.ndarray, "n"]
    """Identifier of the person and the second of video that the frame belongs to."""


def has_sequences(faces: Faces) -> bool:
    """Return whether the faces are frames of sequences, which Section IV-B needs, and not single images."""
    return len(faces) > 0 and bool(np.all(np.asarray(faces.extras.get("frame", -1)) >= 0))


def measure(models: Trained, frames: Faces) -> dict[str, FramePredictions]:
    """Run the protocol of Section IV-B on frames of sequences.

    Frames whose annotators disagree are omitted, if the data has `extras["valence_deviation"]`. The paper's frames have
    valence labels only; here the target is the full label, valence and arousal, as in training.

    Args:
        models: Models to run.
        frames: Frames of sequences (see `has_sequences`).

    Returns:
        Results for "infant" and "parent"; an age group without target frames is missing.
    """
    number = np.asarray(frames.extras["frame"])
    agreed = np.asarray(frames.extras.get("valence_deviation", np.zeros(len(frames)))) <= DEVIATION
    first, position = _in_sequence(frames.subjects, number)
    targets = np.flatnonzero(agreed & (position % EVERY == 0) & (position > 0))
    found = {}
    for name, infants in (("infant", True), ("parent", False)):
        rows = targets[np.asarray(frames.infants)[targets] == infants]
        if len(rows):
            predicted = {model: _predict_outputs(models, model, frames, first[rows], rows) for model in models.convert}
            found[name] = FramePredictions(
                expected=np.asarray(frames.emotions)[rows, 0],
                predicted=predicted | {"real": _predict_frames(models, frames, rows)},
                people=np.asarray(frames.subjects)[rows],
                seconds=np.array([f"{frames.subjects[row]}/{number[row] // FRAMES_PER_SECOND}" for row in rows]),
            )
    return found


def to_metrics(found: dict[str, FramePredictions], seed: int) -> dict:
    """Compute `baby` of `metrics.json`: by age group and model, the correlation of valence and its 95 % interval.

    - `pcc_valence` is the paper's measure, over all frames.
    - `pcc_valence_within` is the correlation after subtracting each person's mean. People have different means, so with
      few people a model that ignores its target may reach a high or low `pcc_valence` by chance.
    - `ccc_valence` depends on how far a face moves. A correlation does not: untrained weights reach 0.8 by moving every
      face slightly in the same way.

    The bootstrap resamples seconds of video, because there are few people. The intervals are therefore not valid for
    other people.

    Args:
        found: Results of `measure`.
        seed: Seed of the bootstrap.
    """
    numbers: dict = {}
    for name, frames in found.items():
        seconds = bootstrap.draw_people(frames.seconds, seed)
        numbers[name] = {"frames": len(frames.expected), "people": len(np.unique(frames.people))}
        expected_within = _about_own_mean(frames.expected, frames.people)
        for model, predicted in frames.predicted.items():
            pcc, interval = _correlation(predicted, frames.expected, seconds)
            predicted_within = _about_own_mean(predicted, frames.people)
            within, interval_within = _correlation(predicted_within, expected_within, seconds)
            numbers[name][model] = {
                "pcc_valence": pcc,
                "interval": interval,
                "pcc_valence_within": within,
                "interval_within": interval_within,
                "ccc_valence": metrics.ccc(predicted, frames.expected),
                "paper": PAPER[name].get(model),
            }
    return numbers


def _correlation(
    predicted: Float[np.ndarray, "n"], expected: Float[np.ndarray, "n"], seconds: bootstrap.People
) -> tuple[float, list[float] | None]:
    """Return Pearson's correlation and its interval."""
    draws = bootstrap.affect_draws(_twice(predicted), _twice(expected), seconds)["pcc_valence"]
    return metrics.pcc(predicted, expected), bootstrap.interval(draws)


def _about_own_mean(values: Float[np.ndarray, "n"], people: Shaped[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Subtract each person's mean."""
    _, person = np.unique(people, return_inverse=True)
    means = np.bincount(person, weights=values) / np.bincount(person)
    return values - means[person]


def _predict_outputs(
    models: Trained, name: str, frames: Faces, sources: Int[np.ndarray, "n"], rows: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Convert the frames `sources` to the emotions of the frames `rows` and return the outputs' predicted valence."""
    valences = []
    for start in range(0, len(rows), PICTURES_PER_CHUNK):
        source, target = sources[start : start + PICTURES_PER_CHUNK], rows[start : start + PICTURES_PER_CHUNK]
        output = models.convert[name](frames.images[source], frames.landmarks[source], frames.emotions[target])
        valences.append(models.predict(output)[:, 0])
    return np.concatenate(valences)


def _predict_frames(models: Trained, frames: Faces, rows: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Return the predicted valence of the frames `rows`."""
    parts = [
        models.predict(frames.images[rows[start : start + PICTURES_PER_CHUNK]])
        for start in range(0, len(rows), PICTURES_PER_CHUNK)
    ]
    return np.concatenate(parts)[:, 0]


def _in_sequence(
    subjects: Shaped[np.ndarray, "n"], number: Int[np.ndarray, "n"]
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Return for each row the row of the person's first frame, and the number of the person's frames before it."""
    _, person = np.unique(np.asarray(subjects), return_inverse=True)
    order = np.lexsort((number, person))
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    start_of = starts[person]
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return order[start_of], position - start_of


def _twice(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
    """Use the valence as arousal too, because `bootstrap.affect_draws` takes emotions."""
    return np.stack([values, values], axis=-1)
