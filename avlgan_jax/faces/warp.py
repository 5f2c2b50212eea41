"""Move the pixels of a face with its landmarks: a smooth flow that is a formula of source and target landmarks.

The flow is *backward*: the warped image at a point p is the source image at p + displacement(p). The displacement is
interpolated between the target landmarks, where it is source minus target, by radial functions with a ridge:

    displacement(p) = fade(p) * face(p) * sum_k coefficients_k kernel(|p - centre_k|)

The centres are the landmarks. On a photograph, where no network mends what is warped, there are more (`fit`). The
kernel is narrower than landmarks of the jaw are apart, and than lip and chin are: a chin that moves down would be
scalloped, and one that rises with its lip would show the inside of the mouth. So there are centres between neighbours
along the jaw and between the lower lip and the chin. Below a chin that rises the neck follows, else the chin would be
seen twice. The lower edges of the brows would be stretched or squeezed otherwise.

The kernel is a Matern 3/2 function, whose peak is sharp enough for lips and lids, times Wendland's C2 function, which
makes it exactly 0 from a distance of `SUPPORT`. `face` is 1 inside the face, with its forehead, before and after, and
exactly 0 a little outside: the background is copied bit for bit. `fade` is 0 at the border of the image, so that a
warped crop fits into its photograph.

Points are normalised as landmarks are for the networks: (x, y) with the image spanning [-1, 1]. As a formula the flow
can be evaluated at any points, thus at the size of a photograph that the networks never see. Only x and y of 3-D
landmarks count. All functions are differentiable and run under `jit`, `vmap` and `pmap`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from avlgan_jax.faces.landmarks import in_plane

# Lengths are in units of half the image's side.
LENGTH = 0.1
SUPPORT = 0.5
# Added to the diagonal of the kernel matrix: landmarks that lie close together need not be met exactly.
RIDGE = 0.05
# The displacement is 0 from `BORDER` outward, and reduced within `FADE` of it.
BORDER = 0.98
FADE = 0.12
# Steps of the conjugate gradient method, enough for the last visible digit. A solver of LAPACK would deadlock where JAX
# has CPU devices of one thread each.
ITERATIONS = 24

# The corners of both eyes and the bridge of the nose.
RIGID = (27, 28, 29, 30, 36, 39, 42, 45)
# The face ends this far outside its hull, over the distance of the outer eye corners. Outside, no pixel of a drawn face
# changes with its emotion.
FACE_MARGIN = 0.2
# The hull is the intersection of half-planes in these directions (its support function).
_TURN = 2.0 * np.pi * np.arange(32) / 32
DIRECTIONS = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=-1).astype(np.float32)
_BROWS, _BRIDGE, _BASE_OF_NOSE = slice(17, 27), 27, 33
# The lower edge of a brow is this far below its landmarks, over the distance of the outer eye corners.
BROW_EDGE = 0.08
_JAW = slice(0, 17)
# Points of the lower lip, and of the jaw below each of them.
_LOWER_LIP, _BELOW_LIP = np.array([55, 56, 57, 58, 59]), np.array([10, 9, 8, 7, 6])
# Where these landmarks of the jaw were before they rose, the neck rises by this share of their rise.
_RISING_JAW, _NECK = slice(4, 13), 0.4

Points = Float[Array, "n 2"]


class Flow(NamedTuple):
    """The flow between two sets of landmarks. It is linear in `coefficients`."""

    centres: Float[Array, "k 2"]
    """The 68 target landmarks; with `fine` more (`_with_chin_and_brows`)."""
    coefficients: Float[Array, "k 2"]
    reach: Float[Array, "32"]
    """How far the face, before and after, reaches in each of DIRECTIONS."""
    margin: Float[Array, ""]
    """Width of the band outside the hull in which the displacement falls to 0."""


def fit(source: Float[Array, "68 d"], target: Float[Array, "68 d"], fine: bool = False) -> Flow:
    """Return the flow that moves the pixels at the `source` landmarks to the `target` landmarks.

    Equal landmarks give coefficients that are exactly 0.

    Args:
        source: The landmarks of the image.
        target: The landmarks of the warped image.
        fine: Whether there are more centres, around chin and brows. A painter must see the warp that it was trained
            with: without.
    """
    source, target = in_plane(source), in_plane(target)
    from_points, centres = _with_chin_and_brows(source, target) if fine else (source, target)
    matrix = _kernel(_distances(centres, centres)) + RIDGE * jnp.eye(len(centres))
    outline = jnp.concatenate([source, target, forehead(source), forehead(target)])
    # Not as a matrix product: jaxlib 0.10.2 on a CPU compiles its maximum, used by `face`, to wrong numbers.
    reach = jnp.max(outline[:, :1] * DIRECTIONS[:, 0] + outline[:, 1:] * DIRECTIONS[:, 1], axis=0)
    return Flow(centres, _solve(matrix, from_points - centres), reach, FACE_MARGIN * eye_distance(source))


def displacement(flow: Flow, points: Points) -> Points:
    """Return source minus target position at `points` of the warped image."""
    moved = flow.coefficients.T @ _kernel(_distances(flow.centres, points))
    return (_fade(points) * face(flow, points) * moved).T


def forehead(landmarks: Float[Array | np.ndarray, "*batch 68 2"]) -> Float[Array | np.ndarray, "*batch 10 2"]:
    """Return the upper end of the forehead: the brows, moved up by the length of the nose (from them to its base)."""
    brows = landmarks[..., _BROWS, :]
    return brows + brows.mean(axis=-2, keepdims=True) - landmarks[..., _BASE_OF_NOSE, None, :]


def face(flow: Flow, points: Points) -> Float[Array, "n"]:
    """Return 1 in the hull of the face before and after, 0 from `FACE_MARGIN` outside it, and smooth values between."""
    inside = jnp.min(flow.reach[:, None] - DIRECTIONS @ points.T, axis=0)
    return smooth_step(1.0 + inside / flow.margin)


def area_change(flow: Flow, points: Points) -> Float[Array, "n"]:
    """Return the determinant of the Jacobian of p + displacement(p) at `points`.

    It is the area of source pixels per area of the warped image: below 1 where the source is stretched (each source
    pixel covers several), above 1 where it is compressed, and not positive in a fold.
    """

    distances = _distances(flow.centres, points)
    moved = flow.coefficients.T @ _kernel(distances)
    # The slope of the sum over centres k, coefficients_k slope_k (p - centre_k), is taken apart so that one matrix
    # product sums it: arrays of centres by points take most of the time.
    weights = flow.coefficients
    parts = jnp.concatenate([weights, weights * flow.centres[:, :1], weights * flow.centres[:, 1:]], axis=1)
    at_point, at_x, at_y = jnp.split(parts.T @ _kernel_slope(distances), 3)

    def along(axis: int, at_centre: Float[Array, "2 n"]) -> Float[Array, "2 n"]:
        """Return the slope of the displacement along x (0) or y (1), by the product rule."""
        direction = jnp.broadcast_to(jnp.eye(2)[axis], points.shape)
        inside, rise = jax.jvp(lambda p: _fade(p) * face(flow, p), (points,), (direction,))
        return inside * (points[:, axis] * at_point - at_centre) + rise * moved

    along_x, along_y = along(0, at_x), along(1, at_y)
    return (1.0 + along_x[0]) * (1.0 + along_y[1]) - along_x[1] * along_y[0]


def pixel_centres(height: int, width: int) -> Float[Array, "h*w 2"]:
    """Return the centres of an image's pixels, row by row, in [-1, 1]."""
    x, y = ((jnp.arange(size, dtype=jnp.float32) + 0.5) * (2.0 / size) - 1.0 for size in (width, height))
    return jnp.stack(jnp.meshgrid(x, y), axis=-1).reshape(-1, 2)


def sample(image: Float[Array, "h w c"], moved: Float[Array, "h w 2"]) -> Float[Array, "h w c"]:
    """Return the image at each pixel's centre plus `moved`, by bilinear interpolation.

    Args:
        image: Any number of channels.
        moved: Displacement in [-1, 1] units. Where it is 0 the pixel is copied bit for bit.

    Returns:
        Positions outside the image take the nearest pixel at its border.
    """
    height, width = image.shape[:2]
    size = jnp.array([width, height], jnp.float32)
    at = jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1) + moved * (size / 2.0)
    at = jnp.clip(at, 0.0, size - 1.0)
    low = jnp.floor(at)
    part = (at - low).astype(image.dtype)
    x, y = low[..., 0].astype(jnp.int32), low[..., 1].astype(jnp.int32)
    right, below = jnp.minimum(x + 1, width - 1), jnp.minimum(y + 1, height - 1)
    along_x, along_y = part[..., :1], part[..., 1:]
    upper = image[y, x] * (1 - along_x) + image[y, right] * along_x
    lower = image[below, x] * (1 - along_x) + image[below, right] * along_x
    return upper * (1 - along_y) + lower * along_y


def warp(
    image: Float[Array, "h w c"], source: Float[Array, "68 d"], target: Float[Array, "68 d"]
) -> Float[Array, "h w c"]:
    """Return `image`, whose landmarks are `source`, with its pixels moved so that they are at `target`."""
    height, width = image.shape[:2]
    moved = displacement(fit(source, target), pixel_centres(height, width))
    return sample(image, moved.reshape(height, width, 2))


def without_similarity(source: Float[Array, "68 d"], moved: Float[Array, "68 d"]) -> Float[Array, "68 d"]:
    """Return `moved` without the rotation, scale and shift in the plane that lie between it and `source`.

    An emotion moves parts of a face; it does not move the head. The similarity is the least-squares one over the
    points that expressions move least: the corners of the eyes and the bridge of the nose.
    """
    rigid = jnp.array(RIGID)
    from_points, to_points = in_plane(moved)[rigid], in_plane(source)[rigid]
    from_mean, to_mean = from_points.mean(axis=0), to_points.mean(axis=0)
    a, b = from_points - from_mean, to_points - to_mean
    # A rotation with a scale is multiplication by the complex number (c + i s).
    power = jnp.maximum(jnp.sum(a * a), 1e-12)
    c = jnp.sum(a * b) / power
    s = jnp.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / power
    turned = (in_plane(moved) - from_mean) @ jnp.array([[c, s], [-s, c]])
    return moved.at[..., :2].set(turned + to_mean)


def _with_chin_and_brows(source: Float[Array, "68 2"], target: Float[Array, "68 2"]) -> list[Float[Array, "108 2"]]:
    """Return both sets of landmarks with more points: along the jaw, above and below it, and under the brows.

    A brow keeps its thickness: its lower edge moves as its landmarks do.
    """
    nose = source[_BASE_OF_NOSE] - source[_BRIDGE]
    down = nose / jnp.sqrt(jnp.sum(nose * nose) + 1e-12)
    edge = BROW_EDGE * eye_distance(source) * down
    rise = jnp.maximum((source - target)[_RISING_JAW] @ down, 0.0)[:, None] * down
    necks = source[_RISING_JAW] + _NECK * rise, target[_RISING_JAW] + rise
    return [
        jnp.concatenate(
            [
                points,
                0.5 * (points[_JAW][:-1] + points[_JAW][1:]),
                0.5 * (points[_LOWER_LIP] + points[_BELOW_LIP]),
                neck,
                points[_BROWS] + edge,
            ]
        )
        for points, neck in zip((source, target), necks, strict=True)
    ]


def eye_distance(landmarks: Float[Array, "68 d"]) -> Float[Array, ""]:
    """Return the distance of the outer eye corners in the plane; the small constant keeps its slope at 0 finite."""
    return jnp.sqrt(jnp.sum(jnp.square(in_plane(landmarks)[36] - in_plane(landmarks)[45])) + 1e-12)


def _distances(a: Points, b: Float[Array, "k 2"]) -> Float[Array, "n k"]:
    """Return the distances between two sets of points; the small constant keeps the slope at 0 finite."""
    across, down = (a[:, k, None] - b[None, :, k] for k in (0, 1))
    return jnp.sqrt(across * across + down * down + 1e-12)


def _kernel(distance: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Return the Matern 3/2 kernel of LENGTH times Wendland's C2 kernel of SUPPORT; both are positive definite."""
    scaled = distance * (3.0**0.5 / LENGTH)
    ratio = distance / SUPPORT
    cut = jnp.maximum(1.0 - ratio, 0.0) ** 4 * (4.0 * ratio + 1.0)
    return (1.0 + scaled) * jnp.exp(-scaled) * cut


def _kernel_slope(distance: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Return the derivative of `_kernel` by the distance, over the distance; it is finite at 0."""
    scaled = distance * (3.0**0.5 / LENGTH)
    ratio = distance / SUPPORT
    left = jnp.maximum(1.0 - ratio, 0.0)
    cut, decay = left**4 * (4.0 * ratio + 1.0), jnp.exp(-scaled)
    return -decay * (3.0 / LENGTH**2 * cut + (1.0 + scaled) * (20.0 / SUPPORT**2) * left**3)


def _fade(points: Points) -> Float[Array, "n"]:
    """Return a smooth factor that is 0 at the border of the image and 1 inside."""
    return smooth_step((BORDER - jnp.max(jnp.abs(points), axis=-1)) / FADE)


def smooth_step(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return 0 for `x` of 0 or less, 1 for 1 or more, and a smooth rise between."""
    x = jnp.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _solve(matrix: Float[Array, "k k"], right: Float[Array, "k 2"]) -> Float[Array, "k 2"]:
    """Solve `matrix @ x = right` for a positive definite matrix; its gradient is one more solution (implicit)."""
    return jax.lax.custom_linear_solve(
        lambda x: matrix @ x, right, lambda _, b: _conjugate_gradients(matrix, b), symmetric=True
    )


def _conjugate_gradients(matrix: Float[Array, "k k"], right: Float[Array, "k 2"]) -> Float[Array, "k 2"]:
    """Solve `matrix @ x = right` in ITERATIONS steps, column by column."""

    def step(state, _):
        x, residual, direction, power = state
        image = matrix @ direction
        rate = power / jnp.maximum(jnp.sum(direction * image, axis=0), 1e-30)
        x, residual = x + rate * direction, residual - rate * image
        new_power = jnp.sum(residual * residual, axis=0)
        direction = residual + new_power / jnp.maximum(power, 1e-30) * direction
        return (x, residual, direction, new_power), None

    start = (jnp.zeros_like(right), right, right, jnp.sum(right * right, axis=0))
    return jax.lax.scan(step, start, None, length=ITERATIONS)[0][0]
