"""Draws (face, target emotion) trials, runs the models on them, and compares the outputs with the targets.

The outputs are also compared with the ground truth, if there is one. The models are functions on arrays
(`inference.Trained`), the faces a `records.Faces`; this module reads no files. As in Section IV-A of the paper, the
regressor predicts the emotion of generated images, and generated images are compared with the training set. `scores`
computes the scores from the results.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.errors import UserError
from avlgan_jax.evaluation import metrics
from avlgan_jax.evaluation.ground_truth import RenderedFace, Renderer
from avlgan_jax.evaluation.ground_truth import face_keys as truth_keys
from avlgan_jax.faces.landmarks import normalised_mean_error
from avlgan_jax.models.inference import Trained

PICTURES_PER_CHUNK = 256

# Number of feature vectors of the training set that are kept for scores over pairs of vectors (KID, precision, recall).
# The moments use all vectors.
PAIRED_FEATURES = 5000

# Called with the number of images done since the last call.
ProgressCallback = Callable[[int], None]
Images = UInt8[np.ndarray, "n h w 3"]
FeatureExtractor = Callable[[Images], Float[np.ndarray, "n d"]]


@dataclass(frozen=True)
class Trials:
    """Pairs of a face and a target emotion: trial k converts face `sources[k]` to emotion `targets[k]`."""

    sources: Int[np.ndarray, "n"]
    targets: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class TruthSimilarity:
    """Similarity of each of n outputs to the ground truth."""

    psnr: Float[np.ndarray, "n"]
    """In decibels."""
    ssim: Float[np.ndarray, "n"]
    nme: Float[np.ndarray, "n"] | None
    """Landmark error as a fraction of the outer eye distance; None for a model without landmarks (avGAN)."""


@dataclass(frozen=True)
class ScoredOutputs:
    """The regressor's predictions for n images, their features, and their similarity to the ground truth."""

    predicted: Float[np.ndarray, "n 2"]
    """Valence and arousal predicted by the regressor."""
    features: Float[np.ndarray, "n d"]
    """The regressor's pooled features."""
    inception: Float[np.ndarray, "n 2048"] | None
    """Inception's features, for FID; None if FID is omitted."""
    likeness: TruthSimilarity | None
    """None if there is no ground truth."""


@dataclass(frozen=True)
class TrialLabels:
    """Labels of the rows of a `ScoredOutputs`."""

    emotions: Float[np.ndarray, "n 2"]
    """Target emotions of outputs, or annotated emotions of real faces."""
    people: Shaped[np.ndarray, "n"]
    """Identifier of the person."""
    infants: Bool[np.ndarray, "n"]
    """Whether the person is an infant."""


@dataclass(frozen=True)
class ReferenceFeatures:
    """Features of the training images."""

    moments: dict[str, metrics.Moments]
    """Moments of all training images, by group: "all" and AGE_GROUPS."""
    features: Float[np.ndarray, "k d"]
    """Feature vectors of up to PAIRED_FEATURES training images."""
    infants: Bool[np.ndarray, "k"]
    """For each of these vectors, whether the person is an infant."""

    @functools.cached_property
    def groups(self) -> dict[str, metrics.FeatureSet]:
        """The feature vectors of each group; they keep what all scores of a group share."""
        return {group: metrics.FeatureSet(self.features[members]) for group, members in by_group(self.infants).items()}


@dataclass(frozen=True)
class FeatureSpace:
    """A second feature space (Inception, for FID) and the training set's features in it."""

    extract: FeatureExtractor
    reference: ReferenceFeatures


@dataclass(frozen=True)
class TrialResults:
    """Results of all trials, the input of `scores`."""

    trials: TrialLabels
    models: dict[str, ScoredOutputs]
    """The models' outputs for the trials."""
    do_nothing: ScoredOutputs
    """The unchanged inputs of the trials, as a baseline."""
    real: TrialLabels
    """Labels of the real faces."""
    real_outputs: ScoredOutputs
    """The real faces themselves, for the error of the regressor."""
    reference: ReferenceFeatures
    """Training images in the regressor's features."""
    inception_reference: ReferenceFeatures | None
    """Training images in Inception's features; None if FID is omitted."""


def draw_trials(emotions: Float[np.ndarray, "m 2"], samples: int, seed: int) -> Trials:
    """Draw trials that take each face in turn, with the label of another face as the target.

    The faces are taken in one shuffled order, repeated if there are more samples than faces, so the numbers of trials
    of two faces differ by at most 1.

    Args:
        emotions: Label of each face.
        samples: Number of trials.
        seed: Seed of the order and the targets.

    Raises:
        UserError: `samples` is less than 1, or fewer than two faces have both labels.
    """
    faces = len(emotions)
    complete = np.flatnonzero(~np.isnan(emotions).any(axis=1))
    if samples < 1:
        raise UserError(f"--samples is {samples}; expected at least 1")
    if len(complete) < 2:
        raise UserError(
            f"the split has {len(complete)} face(s) with valence and arousal, expected at least 2, because targets are "
            "labels of other faces; choose another --split"
        )
    generator = np.random.default_rng([seed, 0x7E57])
    sources = np.resize(generator.permutation(faces), samples)
    others = (sources + generator.integers(1, faces, size=samples)) % faces
    # A face that lacks a label is a source, but no target: the next face that has both labels takes its place.
    for row in np.flatnonzero(~np.isin(others, complete)):
        following = np.roll(complete, -np.searchsorted(complete, others[row]))
        others[row] = following[0] if following[0] != sources[row] else following[1]
    return Trials(sources, emotions[others])


def repeated_trials(emotions: Float[np.ndarray, "m 2"], samples: int, seed: int, repeats: int) -> Trials:
    """Return the trials of `draw_trials` with the seeds `seed` to `seed + repeats - 1`, one after another.

    The same face then has several targets, so that a score depends less on which ones were drawn.
    """
    drawn = [draw_trials(emotions, samples, seed + repeat) for repeat in range(repeats)]
    return Trials(*(np.concatenate([getattr(part, field.name) for part in drawn]) for field in fields(Trials)))


def choose_people(faces: Faces, seed: int, count: int) -> Int[np.ndarray, "n"]:
    """Choose up to `count` faces of different people, alternating adults and infants while there are both.

    Returns:
        Indices into `faces`.
    """
    order = np.random.default_rng([seed, 0xFACE]).permutation(len(faces))
    _, first = np.unique(np.asarray(faces.subjects)[order], return_index=True)
    order = order[np.sort(first)]
    adults, infants = order[~faces.infants[order]], order[faces.infants[order]]
    in_turn = [index for pair in zip(adults, infants, strict=False) for index in pair]
    both = min(len(adults), len(infants))
    return np.array([*in_turn, *adults[both:], *infants[both:]][:count], np.int64)


def measure(
    models: Trained,
    faces: Faces,
    training: Faces,
    trials: Trials,
    render: Renderer | None,
    advance: ProgressCallback,
    inception: FeatureSpace | None = None,
) -> TrialResults:
    """Run every model on the trials, apply the regressor to the outputs, and compare them with the ground truth.

    Args:
        models: Models to run.
        faces: Faces that `trials` refers to.
        training: Training faces, with which generated images are compared.
        trials: Trials to run.
        render: Renderer of the ground truth (`ground_truth.renderer`), or None if the faces have none
            (`ground_truth.face_keys` is None).
        advance: Called with the number of images done since the last call, `picture_count` in total.
        inception: Feature space of FID, or None to omit FID.
    """
    extract = inception.extract if inception is not None else None
    truths = render(truth_keys(faces)[trials.sources], trials.targets) if render is not None else None
    real_outputs = _measure_faces(models, faces, extract, advance)
    parts: dict[str, list[ScoredOutputs]] = {name: [] for name in models.convert}
    unchanged: list[TruthSimilarity] = []
    for chunk in _chunks(len(trials.sources)):
        sources, targets = trials.sources[chunk], trials.targets[chunk]
        images, landmarks = faces.images[sources], faces.landmarks[sources]
        truth = next_pictures(truths, len(sources)) if truths is not None else None
        moved = models.convert_landmarks(landmarks, targets)
        for name, convert in models.convert.items():
            output = convert(images, landmarks, targets)
            similarity = _similarity(output, moved if name == "avlandmarkgan" else None, truth)
            parts[name].append(_measure_images(models, output, extract, similarity))
            advance(len(sources))
        unchanged.append(_similarity(images, landmarks, truth))
    return TrialResults(
        trials=TrialLabels(trials.targets, faces.subjects[trials.sources], np.asarray(faces.infants[trials.sources])),
        models={name: _concatenated(outputs) for name, outputs in parts.items()},
        do_nothing=ScoredOutputs(
            predicted=real_outputs.predicted[trials.sources],
            features=real_outputs.features[trials.sources],
            inception=real_outputs.inception[trials.sources] if inception is not None else None,
            likeness=_concatenated(unchanged),
        ),
        real=TrialLabels(np.asarray(faces.emotions), np.asarray(faces.subjects), np.asarray(faces.infants)),
        real_outputs=real_outputs,
        reference=measure_reference(models.features, training, advance),
        inception_reference=inception.reference if inception is not None else None,
    )


def picture_count(models: Trained, faces: Faces, training: Faces, samples: int) -> int:
    """Return the total number of images that `measure` reports to `advance`.

    Args:
        models: Models to run.
        faces: Faces of the trials.
        training: Training faces.
        samples: Number of trials.
    """
    return len(models.convert) * samples + len(faces) + len(training)


def measure_reference(extract: FeatureExtractor, training: Faces, advance: ProgressCallback) -> ReferenceFeatures:
    """Compute the features of all training faces.

    The result has the moments of all of them, and the vectors of up to PAIRED_FEATURES evenly spaced faces.

    Args:
        extract: Computes the features of images.
        training: Training faces.
        advance: Called with the number of images done since the last call.
    """
    kept = np.unique(np.linspace(0, len(training) - 1, min(PAIRED_FEATURES, len(training))).astype(int))
    moments: dict[str, metrics.Moments] = {}
    vectors = []
    for chunk in _chunks(len(training)):
        features = extract(training.images[chunk])
        for group, members in by_group(training.infants[chunk]).items():
            moments[group] = moments.get(group, metrics.Moments.empty(features.shape[1])).add(features, members)
        vectors.append(features[kept[(kept >= chunk.start) & (kept < chunk.stop)] - chunk.start])
        advance(len(features))
    return ReferenceFeatures(moments, np.concatenate(vectors), np.asarray(training.infants[kept]))


def by_group(infants: Bool[np.ndarray, "n"]) -> dict[str, Bool[np.ndarray, "n"]]:
    """Return a mask of the rows of each group: "all" and each of AGE_GROUPS."""
    infants = np.asarray(infants)
    return {"all": np.ones(len(infants), bool), "adult": ~infants, "infant": infants}


def next_pictures(
    pictures: Iterator[RenderedFace], count: int
) -> tuple[UInt8[np.ndarray, "n h w 3"], Float[np.ndarray, "n 68 2"]]:
    """Return the next `count` rendered images and their landmarks in pixels."""
    taken = [next(pictures) for _ in range(count)]
    return np.stack([image for image, _ in taken]), np.stack([landmarks for _, landmarks in taken])


def _similarity(
    output: UInt8[np.ndarray, "n h w 3"],
    landmarks: Float[np.ndarray, "n 68 d"] | None,
    truth: tuple[np.ndarray, np.ndarray] | None,
) -> TruthSimilarity | None:
    """Compare outputs and their landmarks with the ground truth; return None if there is no ground truth."""
    if truth is None:
        return None
    return TruthSimilarity(
        psnr=metrics.psnr(output, truth[0]),
        ssim=metrics.ssim(output, truth[0]),
        nme=normalised_mean_error(landmarks, truth[1]) if landmarks is not None else None,
    )


def _measure_images(
    models: Trained, images: Images, extract: FeatureExtractor | None, similarity: TruthSimilarity | None
) -> ScoredOutputs:
    """Apply the regressor and `extract` to images."""
    emotions, features = models.regress(images)
    return ScoredOutputs(emotions, features, extract(images) if extract is not None else None, similarity)


def _measure_faces(
    models: Trained, faces: Faces, extract: FeatureExtractor | None, advance: ProgressCallback
) -> ScoredOutputs:
    """Apply the regressor and `extract` to the real faces."""
    parts = []
    for chunk in _chunks(len(faces)):
        images = faces.images[chunk]
        parts.append(_measure_images(models, images, extract, None))
        advance(len(images))
    return _concatenated(parts)


def _concatenated(parts: list):
    """Concatenate arrays, or dataclasses field by field; the result is None where the parts are None."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    return type(first)(*(_concatenated([getattr(part, field.name) for part in parts]) for field in fields(first)))


def _chunks(count: int) -> Iterator[slice]:
    """Yield slices of PICTURES_PER_CHUNK that together cover `count` rows."""
    for start in range(0, count, PICTURES_PER_CHUNK):
        yield slice(start, min(start + PICTURES_PER_CHUNK, count))
