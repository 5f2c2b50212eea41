"""Nearness to the ground truth by region of the face, and the flaws that a mean over all pixels hides.

Most pixels of a trial hardly change, so the similarity of whole pictures says little about the mouth and the eyes. The
regions are those of `faces.region_labels`. Specks and blur are measured as in `detail`. Outside the face an
emotion changes nothing, so there the input should stay as it is, bit for bit.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from avlgan_jax.data.records import AGE_GROUPS, Faces
from avlgan_jax.evaluation import ground_truth, metrics
from avlgan_jax.evaluation.baselines import DO_NOTHING, WARP, compiled_warp
from avlgan_jax.evaluation.detail import fine_detail, invented_detail, known_detail
from avlgan_jax.evaluation.ground_truth import Renderer
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, Trials, by_group, next_pictures
from avlgan_jax.faces.region_labels import BACKGROUND, REGIONS, label_pixels, sum_by_region
from avlgan_jax.models.inference import Trained

# The regions whose sharpness is reported: elsewhere a face has hardly any detail but noise.
FEATURES = ("mouth", "eyes")
# Pixels between the border of a picture and the centre of the first window of `metrics.ssim_map`.
SSIM_BORDER = 5

Images = UInt8[np.ndarray, "n h w 3"]
ByRegion = Float[np.ndarray, "n regions"]


class Chunk(NamedTuple):
    """Some trials: inputs and ground truth, the regions of their pixels, and the detail that outputs may have."""

    images: Images
    truth: Images
    labels: UInt8[np.ndarray, "n h w"]
    known: Float[np.ndarray, "n h w 3"]
    """`known_detail` of truth and input."""


class OutputMeasures(NamedTuple):
    """Measures of n outputs in each of REGIONS. A mean over a region without pixels is 0."""

    error: ByRegion
    """Mean square difference from the ground truth, over the region's pixels and colours."""
    ssim: ByRegion
    """Mean of `metrics.ssim_map` with the ground truth."""
    detail: ByRegion
    """Sum of `fine_detail`."""
    invented: ByRegion
    """Sum of `invented_detail`."""
    changed: Float[np.ndarray, "n"]
    """Largest difference from the input in the background, in grey levels."""


class TruthMeasures(NamedTuple):
    """Measures of the ground truth of n trials in each of REGIONS."""

    pixels: ByRegion
    """Number of pixels."""
    windows: ByRegion
    """Number of these in `metrics.ssim_map`, which leaves out the border."""
    detail: ByRegion
    """Sum of `fine_detail`."""


@dataclass(frozen=True)
class RegionResults:
    """Results of n trials by model and baseline."""

    rows: dict[str, OutputMeasures]
    truth: TruthMeasures
    infants: Bool[np.ndarray, "n"]


def measure(models: Trained, faces: Faces, trials: Trials, render: Renderer | None) -> RegionResults | None:
    """Compare the outputs of every model and baseline with the ground truth of every trial.

    Args:
        models: Models to run.
        faces: Faces that `trials` refers to.
        trials: Trials to run.
        render: Renderer of the ground truth, or None if the faces have none; then the result is None.
    """
    if render is None:
        return None
    truths = render(ground_truth.face_keys(faces)[trials.sources], trials.targets)
    warp = compiled_warp()
    outputs: dict[str, list[OutputMeasures]] = {name: [] for name in (*models.convert, WARP, DO_NOTHING)}
    true: list[TruthMeasures] = []
    for start in range(0, len(trials.sources), PICTURES_PER_CHUNK):
        sources, targets = (part[start : start + PICTURES_PER_CHUNK] for part in (trials.sources, trials.targets))
        images, landmarks = faces.images[sources], np.asarray(faces.landmarks[sources])
        truth, true_landmarks = next_pictures(truths, len(sources))
        labels = label_pixels(landmarks, true_landmarks, faces.resolution)
        chunk = Chunk(images, truth, labels, known_detail(truth, images))
        true.append(measure_truth(chunk))
        for name, convert in models.convert.items():
            outputs[name].append(compare(convert(images, landmarks, targets), chunk, true[-1]))
        warped = warp(images, landmarks, models.convert_landmarks(landmarks, targets))
        outputs[WARP].append(compare(warped, chunk, true[-1]))
        outputs[DO_NOTHING].append(compare(images, chunk, true[-1]))
    return RegionResults(
        rows={name: OutputMeasures(*map(np.concatenate, zip(*parts, strict=True))) for name, parts in outputs.items()},
        truth=TruthMeasures(*map(np.concatenate, zip(*true, strict=True))),
        infants=np.asarray(faces.infants)[trials.sources],
    )


def compare(output: Images, chunk: Chunk, true: TruthMeasures) -> OutputMeasures:
    """Compare outputs with the ground truth and the inputs, region by region."""
    labels, inner = chunk.labels, _without_border(chunk.labels)
    error = np.square(output.astype(np.float32) - chunk.truth).mean(axis=-1)
    detail = fine_detail(output)
    difference = np.abs(output.astype(np.int16) - chunk.images).max(axis=-1) * (labels == BACKGROUND)
    return OutputMeasures(
        error=sum_by_region(error, labels) / np.maximum(true.pixels, 1.0),
        ssim=sum_by_region(metrics.ssim_map(output, chunk.truth), inner) / np.maximum(true.windows, 1.0),
        detail=sum_by_region(detail.mean(axis=-1), labels),
        invented=sum_by_region(invented_detail(detail, chunk.known).mean(axis=-1), labels),
        changed=difference.max(axis=(1, 2)).astype(np.float64),
    )


def measure_truth(chunk: Chunk) -> TruthMeasures:
    """Return the sizes of the regions and the detail of the ground truth in them."""
    labels, inner = chunk.labels, _without_border(chunk.labels)
    return TruthMeasures(
        pixels=sum_by_region(np.ones(labels.shape), labels),
        windows=sum_by_region(np.ones(inner.shape), inner),
        detail=sum_by_region(fine_detail(chunk.truth).mean(axis=-1), labels),
    )


def _without_border(labels: UInt8[np.ndarray, "n h w"]) -> UInt8[np.ndarray, "n h-10 w-10"]:
    """Return the labels of the pixels that `metrics.ssim_map` has."""
    return labels[:, SSIM_BORDER:-SSIM_BORDER, SSIM_BORDER:-SSIM_BORDER]


def to_metrics(found: RegionResults | None) -> dict:
    """Return `regions` of `metrics.json`: by age group, measure and row one score, or one for each region.

    The dict is empty where nothing was measured. A group without trials is left out. A score is None where no trial has
    a pixel in the region, or where the ground truth has no detail.
    """
    if found is None:
        return {}
    groups = {group: by_group(found.infants)[group] for group in AGE_GROUPS}
    return {group: _group_scores(found, members) for group, members in groups.items() if members.any()}


def _group_scores(found: RegionResults, members: Bool[np.ndarray, "n"]) -> dict:
    truth = TruthMeasures(*(values[members] for values in found.truth))
    rows = {name: OutputMeasures(*(values[members] for values in row)) for name, row in found.rows.items()}
    input_error, pixels, windows = rows[DO_NOTHING].error, truth.pixels > 0, truth.windows > 0
    scores = {
        name: {
            "psnr": _means(metrics.decibels(row.error), pixels),
            "ssim": _means(row.ssim, windows),
            "nearer": _means(row.error < input_error, pixels),
            "farther": _means(row.error > input_error, pixels),
            "specks": _ratio(row.invented[:, :BACKGROUND].sum(), truth.detail[:, :BACKGROUND].sum()),
            "sharpness": {
                region: _ratio(row.detail[:, k].sum(), truth.detail[:, k].sum())
                for k, region in enumerate(REGIONS)
                if region in FEATURES
            },
            "background_changed": {"trials": int((row.changed > 0).sum()), "largest": int(row.changed.max())},
        }
        for name, row in rows.items()
    }
    by_measure = {key: {name: row[key] for name, row in scores.items()} for key in scores[DO_NOTHING]}
    return {"trials": int(members.sum()), **by_measure}


def _means(values: Float[np.ndarray, "n regions"] | Bool[np.ndarray, "n regions"], valid: np.ndarray) -> dict:
    """Return the mean of the valid values in each region, None where there is none."""
    return {
        region: float(values[valid[:, k], k].mean(dtype=np.float64)) if valid[:, k].any() else None
        for k, region in enumerate(REGIONS)
    }


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
