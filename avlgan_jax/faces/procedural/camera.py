"""Pose and framing: head coordinates to canvas pixels, by scaled orthography."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural.anatomy import Anatomy
from avlgan_jax.faces.procedural.identity import Shot

_PIVOT = np.array([0.0, 0.45, -0.30])  # the head turns about its joint with the neck, roughly
_DROP = 0.45  # how far the chin can come down (AU25, 26 and 27 in the strongest of faces), face units of an adult
_MARGIN = 0.03
_CENTRE = (0.5, 0.462)  # where the middle between hair line and chin comes to lie; a dropped jaw needs room below


class Camera(NamedTuple):
    """`project(p) = scale * (rotation @ (p - pivot)) + origin`, in pixels of a canvas."""

    rotation: Float[np.ndarray, "3 3"]
    scale: float  # pixels per face unit
    origin: Float[np.ndarray, "3"]

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Points of the head as (x, y) in pixels and z in pixels toward the viewer."""
        return (points - _PIVOT) @ (self.scale * self.rotation.T) + self.origin

    def turn(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """`project` without depth."""
        return self.project(points)[:, :2]


def rotation(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """Roll after pitch after yaw, for x right, y down, z toward the viewer; angles in radians as in `Shot`."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    about_z = np.array([[cr, -sr, 0.0], [sr, cr, 0.0], [0.0, 0.0, 1.0]])
    return about_z @ about_x @ about_y


def frame(anatomy: Anatomy, shot: Shot, infant: bool, size: int) -> Camera:
    """The camera of `shot` on a canvas of `size` pixels: framed on the face at rest, whatever it will express."""
    turned = rotation(shot.yaw, shot.pitch, shot.roll)
    scale = shot.height * size / anatomy.height
    top, chin = anatomy.hairline[4], anatomy.landmarks[8]
    middle = (np.array([0.5 * (top[0] + chin[0]), 0.5 * (top[1] + chin[1]), 0.2]) - _PIVOT) @ (scale * turned.T)
    place = np.array([_CENTRE[0] + shot.offset[0], _CENTRE[1] + shot.offset[1]]) * size
    # The widest mouth this face can open must stay in the picture: lift the face where it would not.
    dropped = (chin - _PIVOT + np.array([0.0, _DROP * (0.63 if infant else 1.0), 0.0])) @ (scale * turned.T) - middle
    place[1] = min(place[1], (1.0 - _MARGIN) * size - dropped[1])
    return Camera(turned, scale, np.array([place[0] - middle[0], place[1] - middle[1], 0.0]))
