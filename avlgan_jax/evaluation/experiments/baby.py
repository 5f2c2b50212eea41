"""Section IV-B: correlation of target and predicted valence on infants and parents, with and without landmarks.

The input is a person's first frame; the targets are the annotated emotions of the person's later frames. The paper has
60 dyads of an infant and a parent; frames of one person are alike, so people are what the intervals are over.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import bootstrap, metrics
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK
from avlgan_jax.models.inference import Trained

# Maximum standard deviation of the valence among the annotators of a frame (Section IV-B, 3).
DEVIATION = 0.2

# Every third frame of a person is a target: at 30 frames per second neighbouring frames hardly differ. Of data that has
# only every third frame, or fewer, all are.
EVERY = 3

# Correlations reported in the paper, on frames that are not public, and the two models of its comparison.
PAPER = {"infant": {"avgan": 0.49, "avlandmarkgan": 0.70}, "parent": {"avgan": 0.64, "avlandmarkgan": 0.65}}
MODEL, BASELINE = "avlandmarkgan", "avgan"


@dataclass(frozen=True)
class FramePredictions:
    """Target and predicted valence on the frames of one age group."""

    expected: Float[np.ndarray, "n"]
    """Annotated valence of the frame, which is the target."""
    predicted: dict[str, Float[np.ndarray, "n"]]
    """Valence that the regressor predicts for each model's output and, under "real", for the frame itself."""
    people: Shaped[np.ndarray, "n"]
    """Identifier of the person in the frame."""


def has_sequences(faces: Faces) -> bool:
    """Return whether the faces are frames of sequences, which Section IV-B needs, and not single images."""
    return len(faces) > 0 and bool(np.all(np.asarray(faces.extras.get("frame", -1)) >= 0))


def measure(models: Trained, frames: Faces, names: Iterable[str] | None = None) -> dict[str, FramePredictions]:
    """Run the protocol of Section IV-B on frames of sequences.

    Frames whose annotators disagree are omitted, if the data has `extras["valence_deviation"]`. The target is the full
    label, valence and arousal, as in training. The paper's frames have valence labels only: where the arousal was not
    rated, it stays what it is in the first frame, as rated there, or as the image converter's discriminator reads it.

    Args:
        models: Models to run.
        frames: Frames of sequences (see `has_sequences`).
        names: Which of `models.convert` to run; None runs all.

    Returns:
        Results for "infant" and "parent"; an age group without target frames is missing.
    """
    number = np.asarray(frames.extras["frame"])
    agreed = np.asarray(frames.extras.get("valence_deviation", np.zeros(len(frames)))) <= DEVIATION
    usable = agreed & ~np.isnan(np.asarray(frames.emotions)[:, 0])
    first, position, step = _in_sequence(frames.subjects, number)
    targets = np.flatnonzero(usable & (position % step == 0) & (position > 0))
    found = {}
    for name, infants in (("infant", True), ("parent", False)):
        rows = targets[np.asarray(frames.infants)[targets] == infants]
        if len(rows):
            emotions = _target_emotions(models, frames, first[rows], rows)
            found[name] = FramePredictions(
                expected=np.asarray(frames.emotions)[rows, 0],
                predicted={
                    model: _predict_outputs(models, model, frames, first[rows], emotions)
                    for model in (models.convert if names is None else names)
                }
                | {"real": _predict_frames(models, frames, rows)},
                people=np.asarray(frames.subjects)[rows],
            )
    return found


def to_metrics(found: dict[str, FramePredictions], seed: int) -> dict:
    """Compute `baby` of `metrics.json`: by age group and model, the correlation of valence and its 95 % interval.

    - `pcc_valence` is the paper's measure, over all frames.
    - `pcc_valence_within` is the correlation after subtracting each person's mean. People have different means, so with
      few people a model that ignores its target may reach a high or low `pcc_valence` by chance.
    - `ccc_valence` depends on how far a face moves. A correlation does not: untrained weights reach .77 by moving every
      face slightly in the same way.
    - `difference` is avLandmarkGAN minus avGAN, with its interval from the same draws; None without avGAN.

    The bootstrap draws people, each with all frames, so an interval is None for a single person.

    Args:
        found: Results of `measure`.
        seed: Seed of the bootstrap.
    """
    numbers: dict = {}
    for name, frames in found.items():
        people = bootstrap.draw_people(frames.people, seed)
        numbers[name] = {"frames": len(frames.expected), "people": people.drawn.shape[1], "interval_over": "people"}
        draws = {}
        for model, predicted in frames.predicted.items():
            numbers[name][model], draws[model] = _correlations(predicted, frames, people)
            numbers[name][model]["paper"] = PAPER[name].get(model)
        numbers[name]["difference"] = _difference(name, numbers[name], draws) if BASELINE in draws else None
    return numbers


def _correlations(
    predicted: Float[np.ndarray, "n"], frames: FramePredictions, people: bootstrap.People
) -> tuple[dict, dict[str, Float[np.ndarray, "draws"] | None]]:
    """Return the scores of one model, and the bootstrap draws of those that have an interval."""
    pairs = {
        "pcc_valence": (predicted, frames.expected),
        "pcc_valence_within": tuple(about_own_mean(values, frames.people) for values in (predicted, frames.expected)),
    }
    draws = {
        key: bootstrap.affect_draws(twice(values), twice(expected), people)["pcc_valence"]
        for key, (values, expected) in pairs.items()
    }
    scores = {key: metrics.pcc(*pair) for key, pair in pairs.items()}
    return {
        "pcc_valence": scores["pcc_valence"],
        "interval": bootstrap.interval(draws["pcc_valence"]),
        "pcc_valence_within": scores["pcc_valence_within"],
        "interval_within": bootstrap.interval(draws["pcc_valence_within"]),
        "ccc_valence": metrics.ccc(predicted, frames.expected),
    }, draws


def _difference(group: str, rows: dict, draws: dict[str, dict]) -> dict:
    """Return avLandmarkGAN's correlations minus avGAN's, with their intervals, and the paper's difference."""
    intervals = {
        key: None if ours is None else bootstrap.interval(ours - draws[BASELINE][key])
        for key, ours in draws[MODEL].items()
    }
    return {
        "pcc_valence": rows[MODEL]["pcc_valence"] - rows[BASELINE]["pcc_valence"],
        "interval": intervals["pcc_valence"],
        "pcc_valence_within": rows[MODEL]["pcc_valence_within"] - rows[BASELINE]["pcc_valence_within"],
        "interval_within": intervals["pcc_valence_within"],
        "paper": round(PAPER[group][MODEL] - PAPER[group][BASELINE], 2),
    }


def about_own_mean(values: Float[np.ndarray, "n"], people: Shaped[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Subtract each person's mean."""
    _, person = np.unique(people, return_inverse=True)
    means = np.bincount(person, weights=values) / np.bincount(person)
    return values - means[person]


def _target_emotions(
    models: Trained, frames: Faces, sources: Int[np.ndarray, "n"], rows: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n 2"]:
    """Return the labels of the frames `rows`, each arousal that is absent replaced by that of the frame in `sources`.

    It is limited to what leaves the emotion in the unit disc: outside there are no labels to have learnt from.
    """
    labels = np.array(np.asarray(frames.emotions)[rows])
    unrated = np.flatnonzero(np.isnan(labels[:, 1]))
    if not len(unrated):
        return labels
    starts, of = np.unique(sources[unrated], return_inverse=True)
    arousal = np.asarray(frames.emotions)[starts, 1]
    read = models.read_emotions(frames.images[starts])[:, 1]
    most = np.sqrt(np.maximum(1.0 - labels[unrated, 0] ** 2, 0.0))
    labels[unrated, 1] = np.clip(np.where(np.isnan(arousal), read, arousal)[of], -most, most)
    return labels


def _predict_outputs(
    models: Trained,
    name: str,
    frames: Faces,
    sources: Int[np.ndarray, "n"],
    emotions: Float[np.ndarray, "n 2"],
) -> Float[np.ndarray, "n"]:
    """Convert the frames `sources` to `emotions` and return the outputs' predicted valence."""
    valences = []
    for start in range(0, len(sources), PICTURES_PER_CHUNK):
        chunk = slice(start, start + PICTURES_PER_CHUNK)
        images, landmarks = frames.images[sources[chunk]], frames.landmarks[sources[chunk]]
        valences.append(models.predict(models.convert[name](images, landmarks, emotions[chunk]))[:, 0])
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
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"], int]:
    """Return for each row the row of the person's first frame and the number of the person's frames before it.

    The third value is how many of these frames make EVERY frames of video.
    """
    _, person = np.unique(np.asarray(subjects), return_inverse=True)
    order = np.lexsort((number, person))
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    start_of = starts[person]
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    gaps = np.diff(number[order])[np.diff(person[order]) == 0]
    step = max(1, EVERY // max(1, int(gaps.min()))) if len(gaps) else 1
    return order[start_of], position - start_of, step


def twice(values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """Use the valence as arousal too, because the bootstrap takes emotions."""
    return np.stack([values, values], axis=-1)
