"""Pose and framing: projection of head coordinates to canvas pixels by scaled orthography."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural.anatomy import Anatomy
from avlgan_jax.faces.procedural.identity import Shot

_PIVOT = np.array([0.0, 0.45, -0.30])  # centre of rotation of the head, near the joint with the neck
_DROP = 0.45  # largest descent of the chin (AU25, 26 and 27 at their strongest), in face units of an adult
_MARGIN = 0.03  # smallest distance from the lowest chin to the canvas's lower edge, as a share of the canvas
# Usual position of the middle between hairline and chin, as (x, y) shares of the canvas. It is higher than the canvas's
# centre, to leave room for a dropped jaw.
_CENTRE = (0.5, 0.462)


class Camera(NamedTuple):
    """A scaled orthographic projection: `project(p) = scale * (rotation @ (p - pivot)) + origin`, in canvas pixels."""

    rotation: Float[np.ndarray, "3 3"]
    scale: float  # pixels per face unit
    origin: Float[np.ndarray, "3"]  # canvas pixels

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Return points of the head, given in face units, as (x, y, z) in canvas pixels, z toward the viewer."""
        return (points - _PIVOT) @ (self.scale * self.rotation.T) + self.origin

    def turn(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Return the (x, y) of `project`, without depth."""
        return self.project(points)[:, :2]


def rotation(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """Return the rotation matrix of yaw, then pitch, then roll, for x right, y down, z toward the viewer.

    The angles are in radians, with the signs of `Shot`.
    """
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_z = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
    return about_z @ about_x @ about_y


def frame(anatomy: Anatomy, shot: Shot, infant: bool, size: int) -> Camera:
    """Return the camera of `shot`, framed on the face at rest: the framing does not depend on the expression.

    Args:
        anatomy: the control points of the face at rest.
        shot: sets the pose, the height of the face and its offset from the usual position.
        infant: whether the face is an infant's, whose chin descends less.
        size: side of the canvas in pixels.
    """
    matrix = rotation(shot.yaw, shot.pitch, shot.roll)
    scale = shot.height * size / anatomy.height
    top, chin = anatomy.hairline[4], anatomy.landmarks[8]
    middle = (np.array([0.5 * (top[0] + chin[0]), 0.5 * (top[1] + chin[1]), 0.2]) - _PIVOT) @ (scale * matrix.T)
    position = np.array([_CENTRE[0] + shot.offset[0], _CENTRE[1] + shot.offset[1]]) * size
    # The chin of the widest open mouth must stay in the picture: move the face up if it would not.
    lowest_chin = (chin - _PIVOT + np.array([0.0, _DROP * (0.63 if infant else 1.0), 0.0])) @ (
        scale * matrix.T
    ) - middle
    position[1] = min(position[1], (1.0 - _MARGIN) * size - lowest_chin[1])
    return Camera(matrix, scale, np.array([position[0] - middle[0], position[1] - middle[1], 0.0]))
