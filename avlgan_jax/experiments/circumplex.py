"""A few faces asked for every emotion around the plane: where a model is near the truth, and how far it moves at all.

No photograph data set can be asked this; without a truth only the response and the judge's reading remain.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from avlgan_jax import metrics, truth
from avlgan_jax.evaluation import GROUPS, MODELS, by_group, take
from avlgan_jax.landmarks import normalised_mean_error
from avlgan_jax.records import Faces
from avlgan_jax.trained import Trained
from avlgan_jax.truth import Render

# The plane is asked at its centre and on rings around it.
RADII = (0.3, 0.6, 0.9)
ANGLES = 12
FACES = 12  # people of each age group

# The ring on which the response is measured.
RESPONSE_RADIUS = 0.6


@dataclass(frozen=True)
class Around:
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


def measure(models: Trained, faces: Faces, seed: int, render: Render | None) -> dict[str, Around]:
    """Ask one face of each of up to FACES people of each age group for every one of `targets`.

    Returns the groups that have anybody. `render` draws the truth, or is None where there is none (`truth.keys`).
    """
    found = {}
    for group in GROUPS:
        chosen = _people(faces, by_group(faces.infants)[group], seed)
        around = [_around(models, faces.take(np.full(len(targets()), index)), render) for index in chosen]
        if around:
            found[group] = Around(*(_stacked([getattr(one, field.name) for one in around]) for field in fields(Around)))
    return found


def response_of(outputs: UInt8[np.ndarray, "a h w 3"]) -> float:
    """How much pictures of one face differ from their mean: the root mean square, as a share of full white.

    It is 0 for a model that ignores its target.
    """
    moved = (outputs.astype(np.float64) - outputs[0]) / 255.0  # exact zeros where nothing moves
    return float(np.sqrt(np.mean(np.var(moved, axis=0))))


def numbers(found: dict[str, Around]) -> dict:
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


def responses(found: dict[str, Around]) -> dict[str, float]:
    """The mean response over all faces, by model and, for drawn faces, of the "truth"."""
    names = next(iter(found.values())).response
    return {name: float(np.concatenate([around.response[name] for around in found.values()]).mean()) for name in names}


def _around(models: Trained, faces: Faces, render: Render | None) -> Around:
    """One face, repeated for each target, at every target."""
    asked = targets()
    outputs = {name: models.convert[name](faces.images, faces.landmarks, asked) for name in MODELS}
    judged = {name: models.predict(output) for name, output in outputs.items()}
    if render is None:
        return Around({}, {}, {}, judged, _responses(outputs))
    images, landmarks = take(render(truth.keys(faces), asked), len(asked))
    moved = models.convert_landmarks(faces.landmarks, asked)
    compared = {**outputs, "do_nothing": faces.images}
    return Around(
        psnr={name: metrics.psnr(output, images) for name, output in compared.items()},
        ssim={name: metrics.ssim(output, images) for name, output in compared.items()},
        nme={
            "avlandmarkgan": normalised_mean_error(moved, landmarks),
            "do_nothing": normalised_mean_error(faces.landmarks, landmarks),
        },
        judged=judged | {"truth": models.predict(images)},
        response=_responses(outputs | {"truth": images}),
    )


def _responses(outputs: dict[str, UInt8[np.ndarray, "t h w 3"]]) -> dict[str, np.ndarray]:
    start = 1 + RADII.index(RESPONSE_RADIUS) * ANGLES
    return {name: np.array(response_of(output[start : start + ANGLES])) for name, output in outputs.items()}


def _stacked(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def _people(faces: Faces, members: Bool[np.ndarray, "n"], seed: int) -> Int[np.ndarray, "k"]:
    rows = np.random.default_rng([seed, 0xC1C]).permutation(np.flatnonzero(members))
    _, first = np.unique(np.asarray(faces.subjects)[rows], return_index=True)
    return rows[np.sort(first)][:FACES]
