"""Which faces are asked for which emotions, and what the judge and the truth see in the answers.

The models come as plain functions on arrays (`trained.Trained`), the faces as `records.Faces`; nothing here knows
where either lies. Section IV-A is followed where it speaks: the regressor judges the generated pictures, and generated
pictures are compared with the training set. `scores` turns what is measured here into numbers.
"""

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

MODELS = ("avlandmarkgan", "avgan")
GROUPS = ("adult", "infant")
PICTURES_PER_CHUNK = 256

# Feature vectors kept of the training set for the measures that compare pairs; the moments see them all.
PAIRED_FEATURES = 5000

ProgressCallback = Callable[[int], None]
Images = UInt8[np.ndarray, "n h w 3"]
FeatureExtractor = Callable[[Images], Float[np.ndarray, "n d"]]


@dataclass(frozen=True)
class Trials:
    """What is asked: the face at `sources[k]` is to show `targets[k]`."""

    sources: Int[np.ndarray, "n"]
    targets: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class TruthSimilarity:
    """How near to the truth, trial by trial: PSNR in decibels, SSIM, and NME in eye distances (None: no landmarks)."""

    psnr: Float[np.ndarray, "n"]
    ssim: Float[np.ndarray, "n"]
    nme: Float[np.ndarray, "n"] | None


@dataclass(frozen=True)
class JudgedOutputs:
    """Pictures as the judge sees them, and (for drawn faces; else None) as they are beside the truth.

    `features` are the judge's, `inception` those of FID (None unless asked for).
    """

    predicted: Float[np.ndarray, "n 2"]
    features: Float[np.ndarray, "n d"]
    inception: Float[np.ndarray, "n 2048"] | None
    likeness: TruthSimilarity | None


@dataclass(frozen=True)
class TrialLabels:
    """For each row of Answers: the emotion it should show, whose face it is, and whether that is an infant."""

    emotions: Float[np.ndarray, "n 2"]
    people: Shaped[np.ndarray, "n"]
    infants: Bool[np.ndarray, "n"]


@dataclass(frozen=True)
class ReferenceFeatures:
    """The real training pictures as feature vectors: moments by group ("all" and GROUPS), and some vectors whole."""

    moments: dict[str, metrics.Moments]
    features: Float[np.ndarray, "k d"]
    infants: Bool[np.ndarray, "k"]


@dataclass(frozen=True)
class FeatureSpace:
    """Other eyes than the judge's: the features of FID, and the training pictures seen in them."""

    extract: FeatureExtractor
    reference: ReferenceFeatures


@dataclass(frozen=True)
class TrialResults:
    """All that the scores are made of: the models' answers to the trials, doing nothing, and the real faces judged."""

    trials: TrialLabels
    models: dict[str, JudgedOutputs]
    do_nothing: JudgedOutputs
    real: TrialLabels
    real_answers: JudgedOutputs
    reference: ReferenceFeatures
    inception_reference: ReferenceFeatures | None


def draw_trials(emotions: Float[np.ndarray, "m 2"], samples: int, seed: int) -> Trials:
    """`samples` trials over the m faces with these labels: each face in turn, with the label of another face.

    The faces go by in one shuffled order, again and again where there are more samples than faces, so no face is asked
    more than once more often than another. Raises UserError where that cannot be done.
    """
    faces = len(emotions)
    if samples < 1:
        raise UserError(f"--samples is {samples}; expected at least 1")
    if faces < 2:
        raise UserError(f"the split holds {faces} face(s); targets are other faces' labels, so at least 2 are needed")
    generator = np.random.default_rng([seed, 0x7E57])
    sources = np.resize(generator.permutation(faces), samples)
    others = (sources + generator.integers(1, faces, size=samples)) % faces
    return Trials(sources, emotions[others])


def choose_people(faces: Faces, seed: int, count: int) -> Int[np.ndarray, "n"]:
    """Up to `count` faces of different people, adults and infants in turn as far as there are both."""
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
    """Run every model over `trials` on `faces` and hold its answers against the judge and the truth.

    `training` gives the real pictures that generated ones are compared with. `render` draws the truth
    (`truth.renderer`) and is None where there is none (`truth.keys`). Without `inception` FID is left out. `advance`
    is told of pictures done, `work` in all.
    """
    extract = inception.extract if inception is not None else None
    truths = render(truth_keys(faces)[trials.sources], trials.targets) if render is not None else None
    real_answers = _over_chunks(models, faces, extract, advance)
    parts: dict[str, list[JudgedOutputs]] = {name: [] for name in MODELS}
    still: list[TruthSimilarity] = []
    for chunk in _chunks(len(trials.sources)):
        sources, targets = trials.sources[chunk], trials.targets[chunk]
        images, landmarks = faces.images[sources], faces.landmarks[sources]
        truth = next_pictures(truths, len(sources)) if truths is not None else None
        moved = models.convert_landmarks(landmarks, targets)
        for name in MODELS:
            output = models.convert[name](images, landmarks, targets)
            likeness = _likeness(output, moved if name == "avlandmarkgan" else None, truth)
            parts[name].append(_look(models, output, extract, likeness))
            advance(len(sources))
        still.append(_likeness(images, landmarks, truth))
    return TrialResults(
        trials=TrialLabels(trials.targets, faces.subjects[trials.sources], np.asarray(faces.infants[trials.sources])),
        models={name: _concatenated(answers) for name, answers in parts.items()},
        do_nothing=JudgedOutputs(
            predicted=real_answers.predicted[trials.sources],
            features=real_answers.features[trials.sources],
            inception=real_answers.inception[trials.sources] if inception is not None else None,
            likeness=_concatenated(still),
        ),
        real=TrialLabels(np.asarray(faces.emotions), np.asarray(faces.subjects), np.asarray(faces.infants)),
        real_answers=real_answers,
        reference=measure_reference(lambda images: models.regress(images)[1], training, advance),
        inception_reference=inception.reference if inception is not None else None,
    )


def picture_count(faces: Faces, training: Faces, samples: int) -> int:
    """How many pictures `measure` reports to `advance` from first to last."""
    return len(MODELS) * samples + len(faces) + len(training)


def measure_reference(extract: FeatureExtractor, training: Faces, advance: ProgressCallback) -> ReferenceFeatures:
    """The features of all training faces; of PAIRED_FEATURES of them, evenly spread, the vectors are kept."""
    kept = np.unique(np.linspace(0, len(training) - 1, min(PAIRED_FEATURES, len(training))).astype(int))
    moments: dict[str, metrics.Moments] = {}
    whole = []
    for chunk in _chunks(len(training)):
        features = extract(training.images[chunk])
        for group, members in by_group(training.infants[chunk]).items():
            moments[group] = moments.get(group, metrics.Moments.empty(features.shape[1])).add(features, members)
        whole.append(features[kept[(kept >= chunk.start) & (kept < chunk.stop)] - chunk.start])
        advance(len(features))
    return ReferenceFeatures(moments, np.concatenate(whole), np.asarray(training.infants[kept]))


def by_group(infants: Bool[np.ndarray, "n"]) -> dict[str, Bool[np.ndarray, "n"]]:
    """Which rows belong to everyone ("all") and to each of GROUPS."""
    infants = np.asarray(infants)
    return {"all": np.ones(len(infants), bool), "adult": ~infants, "infant": infants}


def next_pictures(
    pictures: Iterator[RenderedFace], count: int
) -> tuple[UInt8[np.ndarray, "n h w 3"], Float[np.ndarray, "n 68 2"]]:
    """The next `count` of the truth's pictures, and their landmarks."""
    taken = [next(pictures) for _ in range(count)]
    return np.stack([image for image, _ in taken]), np.stack([landmarks for _, landmarks in taken])


def _likeness(
    output: UInt8[np.ndarray, "n h w 3"],
    landmarks: Float[np.ndarray, "n 68 d"] | None,
    truth: tuple[np.ndarray, np.ndarray] | None,
) -> TruthSimilarity | None:
    if truth is None:
        return None
    return TruthSimilarity(
        psnr=metrics.psnr(output, truth[0]),
        ssim=metrics.ssim(output, truth[0]),
        nme=normalised_mean_error(landmarks, truth[1]) if landmarks is not None else None,
    )


def _look(
    models: Trained, images: Images, extract: FeatureExtractor | None, likeness: TruthSimilarity | None
) -> JudgedOutputs:
    emotions, features = models.regress(images)
    return JudgedOutputs(emotions, features, extract(images) if extract is not None else None, likeness)


def _over_chunks(
    models: Trained, faces: Faces, extract: FeatureExtractor | None, advance: ProgressCallback
) -> JudgedOutputs:
    answers = []
    for chunk in _chunks(len(faces)):
        images = faces.images[chunk]
        answers.append(_look(models, images, extract, None))
        advance(len(images))
    return _concatenated(answers)


def _concatenated(parts: list):
    """Dataclasses of equal form with their arrays joined end to end; None where they hold None."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    return type(first)(*(_concatenated([getattr(part, field.name) for part in parts]) for field in fields(first)))


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, PICTURES_PER_CHUNK):
        yield slice(start, min(start + PICTURES_PER_CHUNK, count))
