"""The page of the app, in a browser."""

import numpy as np
from app_pages import TIMEOUT, face_pixels, group, wait_until
from drawn_photographs import drawn_face
from PIL import Image

from avlgan_jax.app import server, session
from avlgan_jax.faces import detectors, video

pytest_plugins = ("app_fixtures",)


def input_value(page, name):
    return float(page.input_value(f"#{name}"))


def test_the_point_is_moved_by_mouse_and_keyboard(page):
    before, box = face_pixels(page), page.locator("#plane").bounding_box()
    centre = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*centre)
    page.mouse.down()
    page.mouse.move(centre[0] + box["width"] / 4, centre[1] - box["height"] / 8, steps=4)
    page.mouse.up()
    wait_until(page, "document.querySelector('#face').getAttribute('aria-label').includes('+0.58')")
    assert abs(input_value(page, "valence") - 0.58) < 0.02 and abs(input_value(page, "arousal") - 0.29) < 0.02
    assert face_pixels(page) != before
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    assert abs(input_value(page, "valence") - 0.53) < 0.02 and abs(input_value(page, "arousal") - 0.44) < 0.02
    page.keyboard.press("2")
    assert page.locator("#expressions button", has_text="happy").get_attribute("aria-pressed") == "true"
    wait_until(page, "document.querySelector('#spoken').textContent.includes('nearest to happy')")
    # A click outside the disc moves the point to its rim.
    page.mouse.click(box["x"] + 2, box["y"] + 2)
    assert abs(np.hypot(input_value(page, "valence"), input_value(page, "arousal")) - 1.0) < 0.02


def test_the_page_names_its_weights_and_the_detector(page):
    text, detector = page.inner_text("#weights"), detectors.for_photographs(detectors.AUTO)
    assert "trained on drawn faces and DiffusionFER, 64 x 64 px." in text and f"are found by {detector}." in text


def test_touch_and_layout_on_a_phone(address, browser):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    plane = page.locator("#plane")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5)
    wait_until(page, "+document.querySelector('#valence').value > 0.4")
    for tab in ("#tab-dyad", "#tab-film", "#tab-face"):
        page.click(tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_new_faces_and_dragged_landmarks(page):
    before = face_pixels(page)
    page.click("#new-infant")
    wait_until(page, "document.querySelector('#face-status').textContent.startsWith('infant')")
    infant = face_pixels(page)
    assert infant != before and page.is_checked("#infant")
    page.check("#show-landmarks")
    assert page.locator("#landmarks circle:visible").count() == 2 * 68
    group = page.locator("#landmarks g[aria-label^=mouth]")
    group.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#reset-landmarks:visible")
    dragged = face_pixels(page)
    assert dragged != infant
    dot = page.locator("#landmarks circle.reach[data-k='57']").bounding_box()
    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    page.mouse.down()
    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2 + 25, steps=3)
    page.mouse.up()
    assert face_pixels(page) != dragged
    page.click("#reset-landmarks")
    assert face_pixels(page) == infant


def test_invalid_uploads_show_a_message_and_keep_the_face(page, tmp_path):
    Image.fromarray(drawn_face(2).image).save(tmp_path / "me.png")
    page.set_input_files("#file", tmp_path / "me.png")
    wait_until(page, "document.querySelector('#face-status').textContent.startsWith('me.png')")
    pixels_before = face_pixels(page)
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "huge.jpg").write_bytes(bytes(server.LARGEST_UPLOAD + 1))
    Image.new("RGB", (200, 200), "gray").save(tmp_path / "wall.png")
    for name, message in (
        ("text.jpg", "cannot be decoded"),
        ("huge.jpg", "at most 40 MB"),
        ("wall.png", "found no face"),
    ):
        page.set_input_files("#file", tmp_path / name)
        wait_until(page, f"document.querySelector('#message').textContent.includes('{message}')")
        assert face_pixels(page) == pixels_before
    page.click("#new-adult")
    wait_until(page, "document.querySelector('#message').hidden")


def test_a_photograph_stays_as_it_is_until_it_is_edited(page, tmp_path):
    path, pixels = group(tmp_path)
    page.set_input_files("#file", path)
    wait_until(page, "document.querySelector('#face').ariaLabel === 'The untouched face'")
    wait_until(page, "document.body.ariaBusy === 'false'")
    untouched = face_pixels(page)
    page.keyboard.down("c")
    assert face_pixels(page) == untouched
    page.keyboard.up("c")
    with page.expect_download() as download:
        page.click("#save-picture")
    assert download.value.suggested_filename == "group.png"
    download.value.save_as(tmp_path / "saved.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "saved.png"))[..., :3], pixels)
    page.check("#plain")  # what the networks make of it is asked for
    assert face_pixels(page) != untouched
    page.uncheck("#plain")
    assert face_pixels(page) == untouched
    page.focus("#plane")
    page.keyboard.press("ArrowRight")
    assert face_pixels(page) != untouched


def test_a_message_is_scrolled_into_view(address, browser, tmp_path):
    page = browser.new_page(viewport={"width": 360, "height": 500})
    page.set_default_timeout(TIMEOUT)
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    page.locator("#save-matrix").scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 100
    (tmp_path / "text.jpg").write_text("no image")
    page.set_input_files("#file", tmp_path / "text.jpg")
    wait_until(page, "!document.querySelector('#message').hidden")
    assert page.locator("#message").bounding_box()["y"] >= 0
    page.close()


def test_a_camera_picture_is_uploaded(page):
    page.click("#camera")
    wait_until(page, "document.querySelector('#booth video').videoWidth > 0")
    page.click("#snap")
    # Chromium's fake camera shows a green field without a face, which gives an error message.
    wait_until(page, "document.querySelector('#message').textContent.includes('no face')")
    assert page.evaluate("document.querySelector('#booth video').srcObject") is None


def test_picture_matrix_and_walk_are_saved(page, tmp_path):
    def saved(click, name):
        with page.expect_download() as download:
            page.click(click)
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        return tmp_path / name

    page.focus("#plane")
    page.keyboard.press("2")
    assert Image.open(saved("#save-picture", "adult-1_edited.png")).size == (session.SHOWN, session.SHOWN)
    assert min(Image.open(saved("#save-matrix", "matrix.png")).size) > 800
    page.click("#record")
    page.focus("#plane")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(80)
    assert len(list(video.read_frames(saved("#record", "walk.mp4")))) >= 5


def test_the_dyad_is_shown_and_played(page):
    page.focus("#tab-face")
    page.keyboard.press("ArrowRight")
    assert page.locator("#film-panel").is_visible() and not page.locator("#face-panel").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#dyad-panel").is_visible() and not page.locator("#film-panel").is_visible()
    page.wait_for_selector("#curves polyline.infant")
    assert page.locator("#curves text", has_text="still face").count() == 1

    def films():
        return page.evaluate("[...document.querySelectorAll('.film')].map((film) => film.toDataURL())")

    before = films()
    assert len(set(before)) == 4
    page.click("#play")
    wait_until(page, "+document.querySelector('#time').value > 3")
    page.click("#play")
    assert all(now != then for now, then in zip(films(), before, strict=True))
    page.focus("#time")
    page.keyboard.press("End")
    wait_until(page, "document.querySelector('#time').getAttribute('aria-valuetext').includes('reunion')")


def test_a_face_of_a_group_is_chosen_compared_and_saved(page, tmp_path):
    path, pixels = group(tmp_path)
    page.set_input_files("#file", path)
    wait_until(
        page, "document.querySelectorAll('#which-face button').length === 2 && document.body.ariaBusy === 'false'"
    )
    untouched = face_pixels(page)
    page.focus("#plane")
    page.keyboard.press("2")  # happy
    happy = face_pixels(page)
    assert happy != untouched
    page.keyboard.down("c")
    original = face_pixels(page)
    assert page.get_attribute("#compare", "aria-pressed") == "true" and original != happy
    page.keyboard.up("c")
    assert face_pixels(page) == happy
    page.focus("#compare")
    page.keyboard.down("Space")
    assert face_pixels(page) == original
    page.keyboard.up("Space")
    box = page.locator("#compare").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    assert face_pixels(page) == original
    page.mouse.up()
    assert face_pixels(page) == happy
    other = page.locator("#which-face button[aria-pressed=false]")
    other.focus()
    page.keyboard.press("Enter")
    wait_until(page, "document.querySelector('#which-face button:focus').ariaPressed === 'true'")
    wait_until(page, "document.body.ariaBusy === 'false'")
    page.focus("#plane")
    page.keyboard.press("4")  # surprise
    face_pixels(page)
    with page.expect_download() as download:
        page.click("#save-picture")
    assert download.value.suggested_filename == "group_edited.png"
    download.value.save_as(tmp_path / "saved.png")
    saved = np.asarray(Image.open(tmp_path / "saved.png"))
    assert saved.shape == (*pixels.shape[:2], 4)
    halves = np.array_split(np.abs(saved[..., :3].astype(int) - pixels).max(axis=-1), 2, axis=1)
    assert all(half.max() > 20 for half in halves)  # the edit of the first face is kept
