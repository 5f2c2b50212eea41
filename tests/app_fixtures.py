"""The app for tests: its weights, its server, and its page in an installed Chromium, as a plugin of pytest."""

import subprocess
import sys

import pytest
from app_pages import BROWSER, TIMEOUT
from conftest import ROOT

import avlgan_jax


@pytest.fixture(scope="module")
def model():
    return avlgan_jax.load()


@pytest.fixture(scope="module")
def address():
    command = [sys.executable, "-m", "avlgan_jax.app", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        yield program.stdout.readline().split()[0]
        program.terminate()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no browser is installed")
    with playwright.sync_playwright() as play:
        options = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--no-sandbox"]
        browser = play.chromium.launch(executable_path=BROWSER, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(address, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(TIMEOUT)
    page.requested, page.problems = [], []
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    yield page
    assert page.problems == [] and all(url.startswith((address, "blob:", "data:")) for url in page.requested)
    page.close()
