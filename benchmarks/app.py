"""Start-up time and update rate of the app: `python -m benchmarks.app`.

Opens the page in a real browser, drags the point around the plane and counts the faces that are drawn. Each face is
computed at the resolution of the weights; none is precomputed. Needs Playwright and an installed Chromium.
`--screenshot OUT.png` saves a picture of the page instead.
"""

import io
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import tyro

SECONDS = 5.0
# Positions of the pointer per second, as many as a mouse reports. More would only load the cores that faces need.
POSITIONS = 60.0


def browser_path() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def updates_per_second(page, seconds: float = SECONDS) -> float:
    """Return the number of faces drawn per second while the point is dragged.

    Args:
        page: The app's page, opened by Playwright.
        seconds: Duration of the dragging.
    """
    box = page.locator("#plane").bounding_box()
    x, y, radius = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] * 0.3

    def drawn() -> int:
        return int(page.locator("#face").get_attribute("data-updates"))

    page.mouse.move(x, y)
    page.mouse.down()
    first, started, moves = drawn(), time.monotonic(), 0
    while (passed := time.monotonic() - started) < seconds:
        page.mouse.move(x + radius * math.cos(passed), y + radius * math.sin(passed))
        moves += 1
        time.sleep(max(0.0, started + moves / POSITIONS - time.monotonic()))
    count = drawn() - first
    page.mouse.up()
    return count / passed


def take(page, out: Path) -> None:
    """Save a picture of the page with scikit-image's astronaut at the expression "surprise"."""
    from PIL import Image
    from skimage import data

    buffer = io.BytesIO()
    Image.fromarray(data.astronaut()).save(buffer, "PNG")
    page.set_input_files("#file", {"name": "astronaut.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.wait_for_selector("#face-status:has-text('astronaut')")
    page.wait_for_selector("body[aria-busy=false]")
    page.click("#expressions button:text-is('surprise')")
    page.wait_for_selector("#face[aria-label*='+0.23']")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)
    page.screenshot(path=out, full_page=True)


def main(screenshot: Path | None = None) -> None:
    """Measure the app and print the results.

    Args:
        screenshot: PNG file to save a picture of the page to, instead of measuring.
    """
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "avlgan_jax.app", "--port", "0", "--no-browser"]
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program, sync_playwright() as play:
        try:
            browser = play.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(program.stdout.readline().split()[0])
            page.wait_for_selector("html[data-ready=yes]", timeout=120_000)
            if screenshot is None:
                print(f"first face drawn {time.monotonic() - started:.0f} s after the command")
                print(f"{updates_per_second(page):.0f} updates/s while the point is dragged")
            else:
                take(page, screenshot)
            browser.close()
        finally:
            program.terminate()


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
