"""The skin of the face: its outline and colour, blood, freckles, stubble, folds, and the nose."""

import functools

import cv2
import numpy as np
from jaxtyping import Float

from avlgan_jax.procedural import painting
from avlgan_jax.procedural.scene import Sheet

_FOLD = (0.56, 0.40, 0.36)  # what a fold's shadow leaves of the skin's colour
_LIT = (1.16, 1.13, 1.11)
_BLOOD = (1.04, 0.72, 0.70)


@functools.cache
def _grain() -> Float[np.ndarray, "256 256"]:
    """Mottling of skin at two scales, mean 0, standard deviation 1, made once."""
    noise = np.random.default_rng(68).standard_normal((2, 256, 256)).astype(np.float32)
    coarse = cv2.GaussianBlur(noise[0], (0, 0), 9, borderType=cv2.BORDER_REFLECT)
    fine = cv2.GaussianBlur(noise[1], (0, 0), 2, borderType=cv2.BORDER_REFLECT)
    return 0.7 * coarse / coarse.std() + 0.5 * fine / fine.std()


def outline(sheet: Sheet) -> Float[np.ndarray, "n 2"]:
    """The face's closed outline on the canvas: the jaw's 17 landmarks and the skull above them."""
    skull = sheet.camera.turn(sheet.anatomy.skull)
    return painting.curve(np.concatenate([sheet.points[0:17], skull[::-1]]), 4, closed=True)


def paint_skin(sheet: Sheet) -> Float[np.ndarray, "h w"]:
    """The face's skin with its colours, before any feature; the mask it covers."""
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    edge = outline(sheet)
    whole = sheet.whole
    mask = painting.fill(whole, [edge])
    skin = np.array(who.skin, np.float32)
    painting.tint(canvas, whole, mask, skin)

    grain = _grain()
    centre = sheet.camera.turn(np.array([[0.0, 0.3, 0.4]]))[0]
    generator = np.random.default_rng(who.texture)
    shift, step = generator.uniform(100.0, 156.0, 2), unit / 64.0
    affine = np.array([[step, 0.0, centre[0] - step * shift[0]], [0.0, step, centre[1] - step * shift[1]]])
    mottle = cv2.warpAffine(grain, affine, (sheet.size, sheet.size), borderMode=cv2.BORDER_REFLECT)
    painting.shade(canvas, whole, mask * mottle * (0.5 if not who.infant else 0.3), (0.985, 0.955, 0.95))

    if who.freckles:
        spots = generator.normal((0.0, 0.38), (0.42, 0.17), (70, 2))
        at = sheet.camera.turn(np.concatenate([spots, 0.55 - 0.5 * spots[:, :1] ** 2], axis=1))
        dots = [painting.ellipse(p, (0.014 * unit, 0.012 * unit), count=8) for p in at]
        box = sheet.box(at, 0.05)
        painting.shade(canvas, box, painting.fill(box, dots, 0.006 * unit) * 0.55 * who.freckles, (0.80, 0.66, 0.58))

    _paint_blood(sheet, mask)
    if who.stubble > 0.15 or who.beard:
        _paint_beard(sheet, mask)
    return mask


def _paint_blood(sheet: Sheet, mask: Float[np.ndarray, "h w"]) -> None:
    """Cheeks and nose: rosy at rest, redder with the flush of the moment, pale in fear (a flush below the rest)."""
    who, unit, points = sheet.face.identity, sheet.unit, sheet.moved
    rest = 0.34 if who.infant else 0.22 + 0.2 * who.makeup
    flush = rest + 0.62 * sheet.felt("flush")
    lift = 0.08 * sheet.felt("AU6")
    low = 0.10 if who.infant else 0.0
    cheeks = np.array(
        [(-0.60, points[30, 1] - 0.05 - lift + low, 0.42), (0.60, points[30, 1] - 0.05 - lift + low, 0.42)]
    )
    at = sheet.camera.turn(cheeks)
    rings = [painting.ellipse(p, (0.21 * unit, 0.15 * unit), sheet.face.shot.roll) for p in at]
    nose = painting.ellipse(sheet.points[30], (0.12 * unit, 0.09 * unit))
    box = sheet.box(np.concatenate([*rings, nose]), 0.4)
    spread = painting.fill(box, rings, 0.13 * unit) + 0.5 * painting.fill(box, [nose], 0.06 * unit)
    painting.shade(sheet.canvas, box, spread * mask[box.slices] * min(0.75 * flush, 1.0), _BLOOD)


def _paint_beard(sheet: Sheet, mask: Float[np.ndarray, "h w"]) -> None:
    """Stubble or a trimmed beard on jaw, chin and upper lip."""
    who, unit, points = sheet.face.identity, sheet.unit, sheet.points
    nose, mouth = points[33], points[51]
    moustache = 0.45 * nose + 0.55 * mouth
    inner = np.array(
        [
            points[1] + (0.05 * unit, 0.0),
            points[3] * 0.75 + points[48] * 0.25,
            points[48] + (-0.10 * unit, -0.06 * unit),
            moustache + (-0.20 * unit, 0.0),
            moustache,
            moustache + (0.20 * unit, 0.0),
            points[54] + (0.10 * unit, -0.06 * unit),
            points[13] * 0.75 + points[54] * 0.25,
            points[15] + (-0.05 * unit, 0.0),
        ]
    )
    below = points[1:16] + (0.0, 0.03 * unit)
    region = np.concatenate([painting.curve(inner, 4), painting.curve(below, 2)[::-1]])
    box = sheet.box(region, 0.2)
    cover = painting.fill(box, [region], 0.055 * unit) * mask[box.slices]
    hair = np.array(who.brow, np.float32)
    grain = np.random.default_rng(who.texture + 1).standard_normal((64, 64)).astype(np.float32)
    grain = cv2.resize(grain, (sheet.size, sheet.size), interpolation=cv2.INTER_LINEAR)[box.slices]
    density = max(who.beard, 0.30 * who.stubble)
    painting.tint(sheet.canvas, box, np.clip(cover * density * (1.0 + 0.16 * grain), 0.0, 1.0), hair)


def paint_folds(sheet: Sheet) -> None:
    """Folds and furrows that expression presses into the skin, and those that age has left there."""
    who, at, unit = sheet.face.identity, sheet.points, sheet.unit
    old, infant = who.wrinkles, who.infant
    smile, sneer = sheet.felt("AU12"), sheet.felt("AU10") + 0.8 * sheet.felt("AU9")
    roll = sheet.camera.rotation[:2, :2]

    def step(x: float, y: float) -> np.ndarray:
        return roll @ (x, y) * unit

    # Nasolabial folds: from the wing of the nose around the corner of the mouth.
    dimple = sheet.units["AU14"]
    for wing, corner, side in ((31, 48, -1.0), (35, 54, 1.0)):
        strength = 0.10 + 0.30 * old + 0.55 * smile + 0.55 * sneer + 0.2 * sheet.felt("AU20")
        strength = (strength + (0.5 * dimple if side > 0 else 0.0)) * (0.7 if infant else 1.0)
        out = 0.11 + 0.03 * smile
        top, low = at[wing] + step(side * 0.045, -0.05), at[corner] + step(side * out, 0.02)
        middle = 0.5 * (top + low) + step(side * (0.035 + 0.03 * smile), -0.015)
        end = at[corner] + step(side * (out - 0.02), 0.15)
        spine = np.stack([top, middle, low, end])
        sheet.stroke(spine, 0.05, _FOLD, 0.62 * strength, 0.022, (0.5, 0.0))
        sheet.stroke(spine + step(side * 0.07, -0.02), 0.10, _LIT, 0.5 * strength, 0.04)
        # A pit beside the corner, a droop below it.
        pit = np.stack([at[corner] + step(side * 0.035, -0.03), at[corner] + step(side * 0.045, 0.05)])
        sheet.stroke(pit, 0.05, _FOLD, 0.35 * smile + 0.6 * dimple * (side > 0) + 0.1, 0.018)
        down = sheet.felt("AU15")
        line = np.stack(
            [
                at[corner] + step(side * 0.01, 0.02),
                at[corner] + step(side * 0.05, 0.10),
                at[corner] + step(side * 0.06, 0.20),
            ]
        )
        sheet.stroke(line, 0.045, _FOLD, 0.55 * down + 0.2 * old, 0.02, (0.6, 0.0))

    _paint_brow_furrows(sheet, step)
    _paint_eye_folds(sheet, step)

    # The chin: a dent under the lip, dimpled and bunched when it is raised.
    under = 0.5 * (at[57] + at[8]) - step(0.0, 0.05)
    arc = np.stack([under + step(-0.17, 0.03), under, under + step(0.17, 0.03)])
    chin = sheet.felt("AU17")
    sheet.stroke(arc, 0.07, _FOLD, 0.22 + 0.45 * chin, 0.03)
    if chin > 0.05:
        ball = 0.35 * at[57] + 0.65 * at[8]
        for x, y in ((-0.10, 0.0), (0.02, 0.03), (0.11, -0.01), (-0.03, -0.05)):
            sheet.stroke(
                np.stack([ball + step(x - 0.02, y), ball + step(x + 0.02, y + 0.01)]), 0.03, _FOLD, 0.35 * chin, 0.012
            )


def _paint_brow_furrows(sheet: Sheet, step) -> None:
    who, at = sheet.face.identity, sheet.points
    frown, raised = sheet.felt("AU4"), 0.5 * (sheet.felt("AU1") + sheet.felt("AU2"))
    between = 0.5 * (at[21] + at[22])
    for side in (-1.0, 1.0):
        x = side * 0.065
        spine = np.stack([between + step(x * 1.25, -0.12), between + step(x, 0.0), between + step(x * 1.2, 0.12)])
        sheet.stroke(spine, 0.035, _FOLD, (0.62 if not who.infant else 0.4) * frown + 0.10 * who.wrinkles, 0.016)
    sheet.stroke(np.stack([between + step(0.0, -0.10), between + step(0.0, 0.06)]), 0.07, _LIT, 0.5 * frown, 0.03)
    wrinkle = sheet.felt("AU9") + (0.5 * frown if who.infant else 0.0)
    root = 0.6 * at[27] + 0.4 * at[28]
    for y in (-0.10, -0.03, 0.05):
        arc = np.stack([root + step(-0.10, y + 0.03), root + step(0.0, y - 0.015), root + step(0.10, y + 0.03)])
        sheet.stroke(arc, 0.026, _FOLD, 0.5 * wrinkle, 0.011)
    for side, wing in ((-1.0, 31), (1.0, 35)):
        flank = at[wing] + step(-side * 0.02, -0.16)
        spine = np.stack(
            [flank + step(side * 0.0, -0.12), flank + step(side * 0.05, -0.02), flank + step(side * 0.09, 0.06)]
        )
        sheet.stroke(spine, 0.03, _FOLD, 0.45 * wrinkle, 0.013)
    if who.infant:
        raised *= 0.35
    # Lines across the forehead; only the inner ones when the inner brow alone goes up.
    forehead = sheet.camera.turn(sheet.anatomy.hairline[4:5])[0]
    across = 0.36 + 0.22 * min(sheet.felt("AU2"), 1.0)
    for k, share in enumerate((0.30, 0.48, 0.66)):
        middle = (1.0 - share) * between + share * forehead
        arch = -0.05 * (1.0 - 0.3 * k)
        spine = np.stack(
            [
                middle + step(-across, 0.03),
                middle + step(-0.5 * across, arch),
                middle + step(0.0, -0.015),
                middle + step(0.5 * across, arch),
                middle + step(across, 0.03),
            ]
        )
        strength = raised * (0.30 + 0.35 * who.wrinkles) + 0.12 * who.wrinkles
        sheet.stroke(spine, 0.035, _FOLD, strength, 0.015)
        sheet.stroke(spine + step(0.0, 0.05), 0.05, _LIT, 0.6 * strength, 0.02)


def _paint_eye_folds(sheet: Sheet, step) -> None:
    who, at = sheet.face.identity, sheet.points
    squint = sheet.felt("AU6")
    tight = sheet.felt("AU7")
    soft = 0.5 if who.infant else 1.0
    for outer, inner, low, side in ((36, 39, 41, -1.0), (45, 42, 46, 1.0)):
        # The bag under the eye and, when the cheek comes up, the fold it pushes there.
        depth = 0.10 - 0.03 * squint
        middle = at[low] + step(-side * 0.06, depth)
        bag = np.stack([at[inner] + step(side * 0.02, 0.05), middle, at[outer] + step(side * 0.0, 0.07)])
        sheet.stroke(bag, 0.04, _FOLD, (0.10 + 0.22 * who.wrinkles + 0.45 * squint + 0.3 * tight) * soft, 0.018)
        sheet.stroke(bag - step(0.0, 0.045), 0.04, _LIT, 0.35 * squint + 0.25 * tight, 0.015)
        crow = (0.15 * who.wrinkles + 0.5 * squint * (0.45 + 0.55 * who.wrinkles)) * (0.0 if who.infant else 1.0)
        for rise in (-0.08, 0.0, 0.09):
            start = at[outer] + step(side * 0.06, 0.3 * rise + 0.01)
            end = at[outer] + step(side * 0.19, 1.3 * rise + 0.015)
            sheet.stroke(np.stack([start, end]), 0.024, _FOLD, crow, 0.01)
        # The inner end of the socket, in the shadow of nose and brow.
        pit = at[inner] + step(-side * 0.045, -0.03)
        sheet.stroke(np.stack([pit + step(0.0, -0.09), pit + step(0.0, 0.05)]), 0.10, (0.72, 0.62, 0.60), 0.5, 0.045)


def paint_nose(sheet: Sheet) -> None:
    """Nostrils, wings, the tip's underside and the shadow below. The bridge is the light's work."""
    who, at, unit = sheet.face.identity, sheet.points, sheet.unit
    roll = sheet.camera.rotation[:2, :2]

    def step(x: float, y: float) -> np.ndarray:
        return roll @ (x, y) * unit

    small = 0.8 if who.infant else 1.0
    # Below the tip the light does not reach; the lamp's side decides where the shadow falls.
    sway = -0.10 * sheet.face.shot.light[0]
    base = np.stack(
        [
            at[31] + step(0.0, -0.01),
            0.5 * (at[31] + at[30]) + step(0.02, 0.045),
            at[30] + step(0.0, 0.075),
            0.5 * (at[35] + at[30]) + step(-0.02, 0.045),
            at[35] + step(0.0, -0.01),
            at[35] + step(sway, 0.05),
            at[33] + step(sway, 0.075),
            at[31] + step(sway, 0.05),
        ]
    )
    box = sheet.box(base, 0.12)
    painting.shade(sheet.canvas, box, painting.fill(box, [base], 0.028 * unit) * 0.55, (0.62, 0.47, 0.43))
    flare = 1.0 + 0.25 * sheet.felt("AU9") + 0.2 * sheet.felt("AU4")
    for wing, side in ((31, -1.0), (35, 1.0)):
        nostril = 0.52 * at[wing] + 0.48 * at[33] + step(0.0, -0.022)
        shape = painting.ellipse(
            nostril, (0.055 * unit * small * flare, 0.024 * unit * small), side * 0.35 + sheet.face.shot.roll
        )
        hole = sheet.box(shape, 0.05)
        painting.shade(sheet.canvas, hole, painting.fill(hole, [shape], 0.009 * unit) * 0.88, (0.22, 0.12, 0.10))
        line = np.stack(
            [
                at[wing] + step(side * 0.015, -0.11 * small),
                at[wing] + step(side * 0.035, -0.04 * small),
                at[wing] + step(0.0, 0.0),
                0.5 * (at[wing] + nostril) + step(0.0, 0.03),
            ]
        )
        sheet.stroke(line, 0.03, _FOLD, 0.55 * small, 0.012, (0.0, 0.2))
    philtrum = np.stack([at[33] + step(0.0, 0.03), at[51] + step(0.0, -0.02)])
    sheet.stroke(philtrum, 0.05, _FOLD, 0.20, 0.016)


def paint_tears(sheet: Sheet) -> None:
    """A wet rim on the lower lids and tracks down the cheeks; after the light, for they shine."""
    strength = min(sheet.units["tears"], 1.0)
    if strength < 0.05:
        return
    at, unit = sheet.points, sheet.unit
    roll = sheet.camera.rotation[:2, :2]
    for low, side in ((41, -1.0), (46, 1.0)):
        start = at[low] + roll @ (0.0, 0.02) * unit
        length = 0.18 + 0.40 * strength
        track = np.stack(
            [start, start + roll @ (side * 0.03, 0.5 * length) * unit, start + roll @ (side * 0.02, length) * unit]
        )
        box = sheet.box(track, 0.1)
        line = painting.curve(track, 5)
        widths = unit * 0.032 * np.linspace(0.4, 1.0, len(line))
        wet = painting.fill(box, [painting.ribbon(line, np.maximum(widths, 0.7))], 0.006 * unit)
        painting.tint(sheet.canvas, box, wet * 0.45 * strength, np.array((0.95, 0.96, 1.0), np.float32))
        drop = painting.ellipse(track[-1], (0.026 * unit, 0.036 * unit))
        box = sheet.box(drop, 0.05)
        painting.tint(
            sheet.canvas,
            box,
            painting.fill(box, [drop], 0.005 * unit) * 0.6 * strength,
            np.array((1.0, 1.0, 1.0), np.float32),
        )
