"""What a face of a photograph shows, by instruments that no model here was trained with.

MediaPipe's blendshapes and mesh give the expression, the pose and the outline; dlib's descriptor gives the identity.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from avlgan_jax.evaluation.experiments.fidelity import DlibProbe, installed_models
from avlgan_jax.faces.detectors import mediapipe_points
from avlgan_jax.faces.detectors.mediapipe import Mediapipe
from avlgan_jax.faces.warp import FACE_MARGIN

Photo = UInt8[np.ndarray, "h w 3"]

# Vertices of the mesh that no expression moves much: eye corners, bridge of the nose, forehead, temples.
RIGID = (33, 133, 263, 362, 168, 6, 197, 195, 10, 127, 356, 234, 454)
# Vertices in the middle of the forehead and of the cheeks, where the skin is seen.
_SKIN = (151, 108, 337, 50, 280, 205, 425)
# Vertices of the outer eye corners.
_OUTER_CORNERS = (33, 263)
# Pixels by which the outline of a face is widened beyond `warp.FACE_MARGIN`: interpolation reaches one pixel farther.
_RIM = 2


class Seen(NamedTuple):
    """A face as the instruments see it: mesh in pixels, blendshapes, and descriptor (None without dlib's model)."""

    mesh: Float[np.ndarray, "478 3"]
    scores: Float[np.ndarray, "52"]
    descriptor: Float[np.ndarray, "128"] | None

    def score(self, name: str) -> float:
        """Return one blendshape, or the mean of its left and right one."""
        return float(mediapipe_points.blendshape(self.scores, name))


class Instruments:
    """The detectors that look at photographs. `identity` is False where dlib's descriptor is not installed."""

    def __init__(self):
        self._mesh = Mediapipe()
        files = installed_models()
        self._probe = DlibProbe(*files) if files else None
        self.identity = self._probe is not None

    def see(self, photo: Photo, near: Float[np.ndarray, "2"] | None = None, identity: bool = False) -> Seen | None:
        """Return the face of a photograph, or None if there is none.

        Args:
            photo: The photograph.
            near: Where the face is, if there are several; without it the clearest face counts.
            identity: Whether to compute the descriptor.
        """
        faces = self._mesh.meshes(photo)
        if not faces:
            return None
        mesh = faces[0].mesh
        if near is not None:
            mesh = min((face.mesh for face in faces), key=lambda mesh: np.linalg.norm(mesh[:, :2].mean(axis=0) - near))
        descriptor = None
        if identity and self._probe is not None:
            descriptor = self._probe.people(photo[None], mediapipe_points.to_landmarks(mesh)[None])[0]
        return Seen(mesh, self._mesh.blendshapes(mesh), descriptor)


def turn(before: Seen, after: Seen) -> float:
    """Return the angle in degrees by which the head has turned, from the rigid vertices of both meshes in 3-D."""
    a, b = (seen.mesh[list(RIGID)] - seen.mesh[list(RIGID)].mean(axis=0) for seen in (before, after))
    left, _, right = np.linalg.svd(a.T @ b)
    sign = np.sign(np.linalg.det(left @ right))
    cosine = (np.trace(left @ np.diag([1.0, 1.0, sign]) @ right) - 1.0) / 2.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def outline(shape: tuple[int, ...], *faces: Seen) -> Bool[np.ndarray, "h w"]:
    """Return the pixels in the convex hull of the meshes of faces, with the forehead and the margin that moves along.

    The margin is `warp.FACE_MARGIN` eye distances and a rim of two pixels.
    """
    points = np.concatenate([seen.mesh[:, :2] for seen in faces])
    hull = cv2.convexHull(np.round(points - 0.5).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), hull, 1)
    eyes = max(np.linalg.norm(np.subtract(*seen.mesh[list(_OUTER_CORNERS), :2])) for seen in faces)
    side = 2 * (_RIM + round(FACE_MARGIN * float(eyes))) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))).astype(bool)


def luminance(photo: Photo, face: Seen) -> float:
    """Return the median lightness L* (0 to 100) of the skin on forehead and cheeks."""
    radius = max(1, round(0.02 * float(np.ptp(face.mesh[:, 0]))))
    lightness = cv2.cvtColor(photo.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)[..., 0]
    patches = []
    for x, y in face.mesh[list(_SKIN), :2].astype(int):
        patch = lightness[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
        patches.append(patch.ravel())
    return float(np.median(np.concatenate(patches)))
