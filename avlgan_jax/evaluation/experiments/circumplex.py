"""A few faces asked for every emotion around the plane: where a model is near the truth, and how far it moves at all.

No photograph data set can be asked this; without a truth only the response and the judge's reading remain.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import ground_truth, metrics
from avlgan_jax.evaluation.ground_truth import RenderedFace, Renderer
from avlgan_jax.evaluation.trials import GROUPS, MODELS, by_group, next_pictures
from avlgan_jax.faces.landmarks import normalised_mean_error
from avlgan_jax.models.inference import Trained

# The plane is asked at its centre and on rings around it.
RADII = (0.3, 0.6, 0.9)
ANGLES = 12
FACES = 8  # people of each age group

# The ring on which the response is measured.
RESPONSE_RADIUS = 0.6


@dataclass(frozen=True)
class PlaneSweep:
    """What f faces score at each of t targets, by model, "do_nothing" (the input unchanged) and "truth".

    `psnr`, `ssim`, `nme` are nearness to the truth and empty where there is none; `judged` is the emotion the judge
    reads; `response` is `response_of` each face.
    """

    psnr: dict[str, Float[np.ndarray, "f t"]]
    ssim: dict[str, Float[np.ndarray, "f t"]]
    nme: dict[str, Float[np.ndarray, "f t"]]
    judged: dict[str, Float[np.ndarray, "f t 2"]]
    response: dict[str, Float[np.ndarray, "f"]]


def targets() -> Float[np.ndarray, "t 2"]:
    """The centre of the plane, then ANGLES emotions on each ring of RADII, anticlockwise from pleasure."""
    angles = 2.0 * np.pi * np.arange(ANGLES) / ANGLES
    rings = [radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1) for radius in RADII]
    return np.concatenate([np.zeros((1, 2)), *rings]).astype(np.float32)


def measure(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> dict[str, PlaneSweep]:
    """Ask one face of each of up to FACES people of each age group for every one of `targets`.

    Returns the groups that have anybody. `render` draws the truth, or is None where there is none (`truth.keys`).
    """
    asked = targets()
    chosen = {group: _people(faces, by_group(faces.infants)[group], seed) for group in GROUPS}
    chosen = {group: rows for group, rows in chosen.items() if len(rows)}
    sources = {group: faces.take(np.repeat(rows, len(asked))) for group, rows in chosen.items()}
    # Everything is asked for at once, so that the truth of one group is drawn while another is generated.
    emotions = {group: np.tile(asked, (len(rows), 1)) for group, rows in chosen.items()}
    truths = (
        {group: render(ground_truth.face_keys(sources[group]), emotions[group]) for group in chosen} if render else {}
    )
    return {group: _around(models, sources[group], emotions[group], truths.get(group)) for group in chosen}


def response_of(outputs: UInt8[np.ndarray, "a h w 3"]) -> float:
    """How much pictures of one face differ from their mean: the root mean square, as a share of full white.

    It is 0 for a model that ignores its target.
    """
    moved = (outputs.astype(np.float64) - outputs[0]) / 255.0  # exact zeros where nothing moves
    return float(np.sqrt(np.mean(np.var(moved, axis=0))))


def to_metrics(found: dict[str, PlaneSweep]) -> dict:
    """`circumplex` of `metrics.json`: the targets, and by age group each measure's mean over faces at each of them."""
    told: dict = {"targets": targets().tolist(), "response": responses(found)}
    for group, around in found.items():
        told[group] = {
            field: {name: values.mean(axis=0).tolist() for name, values in getattr(around, field).items()}
            for field in ("psnr", "ssim", "nme", "judged")
        }
        told[group]["response"] = {name: float(values.mean()) for name, values in around.response.items()}
        told[group]["faces"] = len(around.response["avgan"])
    return told


def responses(found: dict[str, PlaneSweep]) -> dict[str, float]:
    """The mean response over all faces, by model and, for drawn faces, of the "truth"."""
    names = next(iter(found.values())).response
    return {name: float(np.concatenate([around.response[name] for around in found.values()]).mean()) for name in names}


def _around(
    models: Trained, faces: Faces, emotions: Float[np.ndarray, "ft 2"], truths: Iterator[RenderedFace] | None
) -> PlaneSweep:
    """Faces at their targets, all targets of the first face first."""
    outputs = {name: models.convert[name](faces.images, faces.landmarks, emotions) for name in MODELS}
    judged = {name: _by_face(models.predict(output)) for name, output in outputs.items()}
    if truths is None:
        return PlaneSweep({}, {}, {}, judged, _responses(outputs))
    images, landmarks = next_pictures(truths, len(emotions))
    moved = models.convert_landmarks(faces.landmarks, emotions)
    compared = {**outputs, "do_nothing": faces.images}
    return PlaneSweep(
        psnr={name: _by_face(metrics.psnr(output, images)) for name, output in compared.items()},
        ssim={name: _by_face(metrics.ssim(output, images)) for name, output in compared.items()},
        nme={
            "avlandmarkgan": _by_face(normalised_mean_error(moved, landmarks)),
            "do_nothing": _by_face(normalised_mean_error(faces.landmarks, landmarks)),
        },
        judged=judged | {"truth": _by_face(models.predict(images))},
        response=_responses(outputs | {"truth": images}),
    )


def _responses(outputs: dict[str, UInt8[np.ndarray, "ft h w 3"]]) -> dict[str, Float[np.ndarray, "f"]]:
    start = 1 + RADII.index(RESPONSE_RADIUS) * ANGLES
    rings = {name: _by_face(output)[:, start : start + ANGLES] for name, output in outputs.items()}
    return {name: np.array([response_of(face) for face in ring]) for name, ring in rings.items()}


def _by_face(values: Shaped[np.ndarray, "ft *rest"]) -> Shaped[np.ndarray, "f t *rest"]:
    return values.reshape(-1, len(targets()), *values.shape[1:])


def _people(faces: Faces, members: Bool[np.ndarray, "n"], seed: int) -> Int[np.ndarray, "k"]:
    rows = np.random.default_rng([seed, 0xC1C]).permutation(np.flatnonzero(members))
    _, first = np.unique(np.asarray(faces.subjects)[rows], return_index=True)
    return rows[np.sort(first)][:FACES]
