"""The 478 points of MediaPipe's face mesh: how they give the 68 landmarks, and which of them give the blendshapes.

The indices and the names of the blendshapes are facts of the published model, from `face_blendshapes_graph.cc` of
google-ai-edge/mediapipe (Apache-2.0). The table of the landmarks was fitted by this project:

    python -m benchmarks.mediapipe_points DIFFUSION_FER --fit
"""

import csv
import functools
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks

COUNT = 478
# Columns: landmark, vertex, weight. The weights of a landmark are positive and add up to 1.
TABLE = Path(__file__).with_name("mediapipe_points.csv")

# The input of the network of blendshapes.
BLENDSHAPE_POINTS = tuple(
    int(index)
    for index in """
    0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91 93 95 103 105
    107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161 162 163 168 172 173 176 178 181
    185 191 195 197 234 246 249 251 263 267 269 270 276 282 283 284 285 288 291 293 295 296 297 300 308 310 311 312 314
    317 318 321 323 324 332 334 336 338 356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390
    397 398 400 402 405 409 415 454 466 468 469 470 471 472 473 474 475 476 477
    """.split()  # noqa: SIM905 - one index per line otherwise
)
# Its output. Left and right are those of the person.
BLENDSHAPES = tuple(
    """
    neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
    eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft
    eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft
    mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight
    mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft
    mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft
    noseSneerRight
    """.split()  # noqa: SIM905 - one name per line otherwise
)


@functools.cache
def weights() -> Float[np.ndarray, "68 478"]:
    """Return the weight of each vertex of the mesh in each landmark."""
    table = np.zeros((landmarks.COUNT, COUNT))
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            table[int(row["landmark"]), int(row["vertex"])] = float(row["weight"])
    table.setflags(write=False)
    return table


def to_landmarks(mesh: Float[np.ndarray, "*batch 478 d"]) -> Float[np.ndarray, "*batch 68 2"]:
    """Return the 68 landmarks (x, y) of meshes, in their pixels."""
    return (weights() @ landmarks.in_plane(mesh)).astype(np.float32)


def blendshape(scores: Float[np.ndarray, "*batch 52"], name: str) -> Float[np.ndarray, "*batch"]:
    """Return one blendshape, or the mean of its left and right one.

    Args:
        scores: The scores of all blendshapes, as from `Mediapipe.blendshapes`.
        name: One of `BLENDSHAPES`, or the part of two of them before "Left" and "Right".
    """
    columns = [BLENDSHAPES.index(one) for one in (name, f"{name}Left", f"{name}Right") if one in BLENDSHAPES]
    return scores[..., columns].mean(axis=-1)
