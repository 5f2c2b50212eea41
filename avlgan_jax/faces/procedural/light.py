"""Shading of the head: the surface is an ellipsoid with the relief of a face, lit by a key light and ambient light."""

import functools
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural.camera import Camera
from avlgan_jax.faces.procedural.identity import Face

_GRID = 72  # side of the grid on which light is computed for canvases of any size, because light is smooth
# Centre and semi-axes of the head's ellipsoid in face units; the key is `Identity.infant`.
_HEAD = {False: ((0.0, 0.12, -0.30), (1.10, 1.78, 1.12)), True: ((0.0, -0.10, -0.30), (1.12, 1.52, 1.12))}


class Light(NamedTuple):
    """Light on the canvas: a factor of the painted colours, and the gloss to be added after it."""

    factor: Float[np.ndarray, "3 h w"]
    gloss: Float[np.ndarray, "h w"]


@functools.cache
def _grid(size: int) -> np.ndarray:
    """Return x and y of the grid's cells in pixels of a canvas of `size` pixels."""
    step = size / _GRID
    axis = (np.arange(_GRID) + 0.5) * step
    x, y = (v.ravel() for v in np.meshgrid(axis, axis))
    return np.stack([x, y])


def bumps(face: Face, points: Float[np.ndarray, "68 3"], units: dict[str, float]) -> Float[np.ndarray, "n 6"]:
    """Return the relief of a face as Gaussian bumps.

    Args:
        face: the face; its identity sets the size of the bumps.
        points: the moved landmarks, in face units.
        units: the intensities of ACTION_UNITS.

    Returns:
        One row (x, y, z, width, length, height) per bump, in face units. Width and length are the standard deviations
        in x and y; a negative height is a hollow.
    """
    identity = face.identity
    infant, male = identity.infant, not identity.female and not identity.infant
    right_eye, left_eye = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    smile, raised = units["AU12"], units["AU6"]
    cheek_height = 0.05 + 0.05 * identity.cheek + (0.06 if infant else 0.0)
    cheek_y = points[30, 1] - 0.02 - 0.07 * raised - 0.03 * smile + (0.12 if infant else 0.0)
    rows = []

    def add_pair(x: float, y: float, z: float, width: float, length: float, height: float) -> None:
        """Add a bump and its mirror image."""
        rows.append((-x, y, z, width, length, height))
        rows.append((x, y, z, width, length, height))

    ridge = 0.05 if male else 0.03 if not infant else 0.015
    for brow, eye in ((points[17:22], right_eye), (points[22:27], left_eye)):
        middle = brow.mean(axis=0)
        rows.append((middle[0], middle[1] + 0.03, middle[2], 0.27, 0.085, ridge))
        rows.append((eye[0], eye[1] - 0.02, eye[2], 0.24, 0.13, -0.075 if not infant else -0.045))
        rows.append((eye[0], eye[1], eye[2], 0.15, 0.085, 0.055))
    depth = identity.nose_depth * (0.62 if infant else 1.0)
    for index, height in ((27, 0.045), (28, 0.09), (29, 0.115)):
        rows.append((*points[index], 0.075 * identity.nose_width, 0.13, height * depth))
    rows.append((*points[30], 0.125 * identity.nose_width, 0.105, 0.20 * depth))
    rows.append((*(points[31] + (0.03, -0.03, 0.0)), 0.07, 0.075, 0.085 * depth))
    rows.append((*(points[35] + (-0.03, -0.03, 0.0)), 0.07, 0.075, 0.085 * depth))
    add_pair(0.56, cheek_y, 0.4, 0.24, 0.21, cheek_height + 0.06 * smile + 0.06 * raised)
    add_pair(0.64, cheek_y + 0.42, 0.2, 0.16, 0.2, -0.05 * (1.0 - identity.cheek) * (0.0 if infant else 1.0))
    mouth = points[48:60].mean(axis=0)
    rows.append((0.0, mouth[1], 0.55, 0.34, 0.24, 0.07))
    rows.append((0.0, points[33, 1] + 0.09, 0.6, 0.035, 0.07, -0.022))
    for corner, side in ((48, -1.0), (54, 1.0)):
        x, y, z = points[corner]
        rows.append((x + side * 0.06, y, z, 0.06, 0.08, -0.03 - 0.03 * smile - 0.03 * units["AU14"] * (side > 0)))
    upper, lower = points[[50, 52, 61, 63]].mean(axis=0), points[[57, 66]].mean(axis=0)
    rows.append((*upper, 0.2, 0.045, 0.03))
    rows.append((*lower, 0.16, 0.05, 0.045))
    chin = points[8]
    rows.append((0.0, 0.5 * (points[57, 1] + chin[1]) - 0.04, 0.5, 0.2, 0.06, -0.05))
    rows.append((0.0, chin[1] - 0.15, 0.4, 0.2, 0.12, 0.075))
    add_pair(0.92, -0.42, 0.0, 0.16, 0.28, -0.06)
    add_pair(0.3, -0.72, 0.5, 0.3, 0.22, 0.03 if not infant else 0.06)
    furrow = units["AU4"]
    rows.append((0.0, points[21, 1] + 0.02, 0.6, 0.10, 0.07, 0.02 * furrow))
    return np.array(rows)


def _normals(face: Face, camera: Camera, relief: Float[np.ndarray, "n 6"], size: int) -> Float[np.ndarray, "3 m"]:
    """Return the unit normals of the head with its `relief` at the cells of the grid."""
    grid = _grid(size)
    centre, axes = _HEAD[face.infant]
    middle = camera.project(np.array([centre]))[0]
    x, y = ((grid - middle[:2, None]) / camera.scale).astype(np.float32)
    shape = np.array([axes[0] * face.identity.width, axes[1] * face.identity.length, axes[2]])
    m = (camera.rotation @ np.diag(shape**-2.0) @ camera.rotation.T).astype(np.float32)
    # The ray through a cell meets the ellipsoid at the root z of a quadratic. Outside the ellipsoid's outline there is
    # no root, so the discriminant is clamped.
    b = m[0, 2] * x + m[1, 2] * y
    c = m[0, 0] * x * x + 2 * m[0, 1] * x * y + m[1, 1] * y * y - 1
    z = (np.sqrt(np.maximum(b * b - m[2, 2] * c, np.float32(0.004))) - b) / m[2, 2]
    normal = m @ np.stack([x, y, z])
    normal /= np.sqrt((normal * normal).sum(axis=0))
    # The relief's height is a sum of Gaussians whose axes roll with the head. Only its slope changes the normals.
    centres = (camera.turn(relief[:, :3]) - middle[:2]) / camera.scale
    cos, sin = np.cos(face.shot.roll), np.sin(face.shot.roll)
    wide, tall = 0.5 * relief[:, 3] ** -2.0, 0.5 * relief[:, 4] ** -2.0
    xx, yy, xy = wide * cos * cos + tall * sin * sin, wide * sin * sin + tall * cos * cos, (wide - tall) * cos * sin
    px, py = centres.T
    terms = np.stack(
        [
            xx,
            2 * xy,
            yy,
            -2 * (xx * px + xy * py),
            -2 * (xy * px + yy * py),
            xx * px**2 + 2 * xy * px * py + yy * py**2,
        ],
        axis=-1,
    )
    monomials = np.stack([x * x, x * y, y * y, x, y, np.ones_like(x)])
    bells = terms.astype(np.float32) @ monomials
    np.exp(np.negative(bells, out=bells), out=bells)
    height = (relief[:, 5].astype(np.float32) @ bells).reshape(_GRID, _GRID)
    height *= np.float32(_GRID * camera.scale / size)
    normal[0].reshape(_GRID, _GRID)[:, 1:-1] -= 0.5 * (height[:, 2:] - height[:, :-2])
    normal[1].reshape(_GRID, _GRID)[1:-1] -= 0.5 * (height[2:] - height[:-2])
    return normal / np.sqrt((normal * normal).sum(axis=0))


def shine(face: Face, camera: Camera, points: Float[np.ndarray, "68 3"], units: dict[str, float], size: int) -> Light:
    """Return the light on a face with an expression.

    Args:
        face: the face; its shot sets the light.
        camera: the camera of the canvas.
        points: the moved landmarks, in face units.
        units: the intensities of ACTION_UNITS.
        size: side of the canvas in pixels.
    """
    shot = face.shot
    normal = _normals(face, camera, bumps(face, points, units), size)
    direction = np.array(shot.light, np.float32)
    lambert = np.clip((direction @ normal + 0.35) / 1.35, 0.0, None) ** 1.25
    reference = float((direction[2] + 0.35) / 1.35) ** 1.25  # skin that faces the viewer keeps its colour
    level = shot.ambient * (0.82 + 0.18 * normal[2] - 0.12 * normal[1]) + (shot.key / reference) * lambert
    level = np.minimum(level, 1.15 + 0.35 * (level - 1.15)) * shot.exposure
    # Subsurface scattering makes the skin redder where the surface turns away from the key light.
    logarithm = np.log(level)
    warm = np.array([1.0 + shot.warmth, 1.0, 1.0 - shot.warmth], np.float32)
    tone = np.exp(np.array([[0.86], [1.03], [1.12]], np.float32) * logarithm) * warm[:, None]
    half = direction + np.array([0.0, 0.0, 1.0], np.float32)
    half /= np.linalg.norm(half)
    gloss = np.clip(half @ normal, 0.0, 1.0) ** 22 * ((0.12 if not face.infant else 0.09) * shot.key / 0.5)
    planes = np.concatenate([tone, gloss[None]]).reshape(4, _GRID, _GRID)
    planes = np.stack([cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR) for plane in planes])
    return Light(planes[:3], planes[3])
