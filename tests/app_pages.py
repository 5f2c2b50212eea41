"""What tests do with the page of the app; `app_fixtures` opens it."""

import numpy as np
from drawn_photographs import drawn_face
from PIL import Image

from avlgan_jax.faces import detectors
from benchmarks import app as bench

BROWSER = bench.browser_path()
TIMEOUT = 600_000  # milliseconds; long, because a busy machine is slow


def make_detector():
    return detectors.create("dlib")


def face_pixels(page):
    """Return the pixels of the face as a data URL, after all pending updates."""
    wait_until(page, "document.querySelector('#face').ariaBusy === 'false'")
    return page.evaluate("document.querySelector('#face').toDataURL()")


def wait_until(page, condition):
    """Wait for a JavaScript condition.

    Playwright's own wait evaluates text, which the page's content security policy forbids.
    """
    for _ in range(TIMEOUT // 100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"timeout; condition: {condition}; text of the page: {page.inner_text('main')[:300]}")


def group(tmp_path):
    """Write a picture of two people of unequal size whose right edge is transparent, and return its file and pixels."""
    pair = np.hstack([drawn_face(1).image, drawn_face(2).image])
    alpha = np.full(pair.shape[:2], 255, np.uint8)
    alpha[:, -8:] = 0
    path = tmp_path / "group.png"
    Image.fromarray(np.dstack([pair, alpha])).save(path)
    return path, np.where(alpha[..., None] == 0, 255, pair)
