"""When the app's face is there, and how often a second it follows a dragged point: `python -m benchmarks.app`.

The page is opened in a real browser, the point goes round the plane, and the faces that were drawn are counted: fast
inference at the weights' own size for each, nothing precomputed. Needs Playwright and a Chromium on the machine.
`--screenshot OUT.png` takes a picture of the page instead.
"""

import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import tyro

SECONDS = 5.0


def browser_path() -> str | None:
    """The Chromium of this machine, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def updates_per_second(page, seconds: float = SECONDS) -> float:
    """Faces drawn in a second while the point is dragged on an open page (of Playwright)."""
    box = page.locator("#plane").bounding_box()
    x, y, radius = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] * 0.3

    def drawn() -> int:
        return int(page.locator("#face").get_attribute("data-updates"))

    page.mouse.move(x, y)
    page.mouse.down()
    first, started = drawn(), time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        page.mouse.move(x + radius * math.cos(passed), y + radius * math.sin(passed))
    count = drawn() - first
    page.mouse.up()
    return count / passed


def take(page, out: Path) -> None:
    """The page as a person sees it who has just gone to "surprise" with the landmarks shown."""
    page.check("#show-landmarks")
    page.click("#expressions button:text-is('surprise')")
    page.wait_for_selector("#face[aria-label*='+0.23']")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)
    page.screenshot(path=out, full_page=True)


def main(screenshot: Path | None = None) -> None:
    """Start the app, open it, drag, print."""
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
                print(f"the face is there {time.monotonic() - started:.0f} s after the command")
                print(f"{updates_per_second(page):.0f} updates/s while the point is dragged")
            else:
                take(page, screenshot)
            browser.close()
        finally:
            program.terminate()


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
