"""The reader of picture files: what phones, scanners and other programs write is read, all else is one clear error."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from drawn_photographs import drawn_face
from fuzz_pictures import with_checksums
from PIL import Image, PngImagePlugin

from avlgan_jax.errors import UserError
from avlgan_jax.faces import pictures
from avlgan_jax.faces.pictures import Picture

X_RESOLUTION, ORIENTATION = 0x011A, 0x0112
RATIONAL, ASCII, SIGNED_RATIONAL = 5, 2, 10
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")


def upright() -> np.ndarray:
    return drawn_face(1).image


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """Return the file of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def lying(kind: str, orientation: int = 6) -> bytes:
    """Return a face that the camera stored lying on its side, with the orientation in EXIF."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[X_RESOLUTION] = orientation, 72.0
    image = Image.fromarray(np.ascontiguousarray(np.rot90(upright())))
    return saved(image, kind, **({"tiffinfo": exif} if kind == "TIFF" else {"exif": exif}))


def with_odd_field(content: bytes, kind: str) -> bytes:
    """Return a file whose EXIF field XResolution has another type than the standard's, as some programs write."""
    for order in "<>":
        start = content.find(struct.pack(f"{order}HHI", X_RESOLUTION, RATIONAL, 1))
        if start >= 0:
            break
    (offset,) = struct.unpack(f"{order}I", content[start + 8 : start + 12])
    header = content.rfind(b"II*\0" if order == "<" else b"MM\0*", 0, start)
    entry, value = {
        "text": (struct.pack(f"{order}HHI", X_RESOLUTION, ASCII, 8), b"72 dpi\0\0"),
        "negative": (struct.pack(f"{order}HHI", X_RESOLUTION, SIGNED_RATIONAL, 1), struct.pack(f"{order}ii", -72, 1)),
    }[kind]
    changed = bytearray(content)
    changed[start : start + 8] = entry
    changed[header + offset : header + offset + 8] = value
    return with_checksums(bytes(changed)) if content.startswith(b"\x89PNG") else bytes(changed)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean difference of two pictures of one size."""
    assert found.shape == expected.shape
    return float(np.abs(found.astype(int) - expected).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", FORMATS)
def test_pictures_are_turned_upright_by_their_orientation(kind, orientation):
    shown = {
        1: upright(),
        2: upright()[:, ::-1],
        3: upright()[::-1, ::-1],
        4: upright()[::-1],
        5: upright().swapaxes(0, 1),
        6: np.rot90(upright()),
        7: np.rot90(upright(), 2).swapaxes(0, 1),
        8: np.rot90(upright(), -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"tiffinfo": exif} if kind == "TIFF" else {"exif": exif}
    content = saved(Image.fromarray(np.ascontiguousarray(shown)), kind, **options)
    assert difference(pictures.decode(content, "phone").pixels, upright()) < 3.0


@pytest.mark.parametrize("odd", ["text", "negative"])
@pytest.mark.parametrize("kind", FORMATS)
def test_an_odd_exif_field_does_not_hide_a_sound_photograph(kind, odd):
    assert difference(pictures.decode(with_odd_field(lying(kind), odd), "phone").pixels, upright()) < 3.0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_exif_block_counts_as_upright(kind):
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0"  # it ends within its first entry
    content = saved(Image.fromarray(upright()), kind, exif=block)
    assert difference(pictures.decode(content, "phone").pixels, upright()) < 3.0


@pytest.mark.parametrize("kind", [b"eXIf", b"tEXt"])
def test_a_png_whose_notes_are_damaged_is_read(kind):
    """Browsers ignore a wrong checksum of a chunk that does not make the picture."""
    exif = Image.Exif()
    exif[ORIENTATION] = 1
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "a note")
    content = bytearray(saved(Image.fromarray(upright()), "PNG", exif=exif, pnginfo=notes))
    content[content.index(kind) + 6] ^= 1
    np.testing.assert_array_equal(pictures.decode(bytes(content), "phone.png").pixels, upright())
    content[content.index(b"IDAT") + 40] ^= 1
    with pytest.raises(UserError, match="phone.png cannot be decoded"):
        pictures.decode(bytes(content), "phone.png")


def deep_files() -> dict[str, bytes]:
    """Return a grey face in every deep form that scanners, microscopes and programs write."""
    grey = upright().mean(axis=-1) / 255.0
    sixteen = np.rint(grey * 65535).astype(np.uint16)
    height, width = grey.shape
    files = {
        "16.png": saved(Image.fromarray(sixteen), "PNG"),
        "16.tif": saved(Image.fromarray(sixteen), "TIFF"),
        "16.jp2": saved(Image.fromarray(sixteen), "JPEG2000"),
        "32.tif": saved(Image.fromarray(sixteen.astype(np.int32)), "TIFF"),
        "unit.tif": saved(Image.fromarray(grey.astype(np.float32)), "TIFF"),
        "float.tif": saved(Image.fromarray((grey * 255).astype(np.float32)), "TIFF"),
    }
    for top in (4095, 65535):
        header = f"P5 {width} {height} {top}\n".encode()
        files[f"{top}.pgm"] = header + np.rint(grey * top).astype(">u2").tobytes()
    return files


@pytest.mark.parametrize("name", deep_files())
def test_deep_pictures_are_scaled_by_their_depth(name):
    picture = pictures.decode(deep_files()[name], name)
    expected = np.repeat(upright().mean(axis=-1, keepdims=True), 3, axis=-1)
    assert picture.alpha is None and difference(picture.pixels, expected) < 1.0


def test_a_float_picture_with_numbers_that_are_not_finite_is_read():
    values = np.full((8, 8), 0.5, np.float32)
    values[0], values[1] = np.nan, -np.inf
    picture = pictures.decode(saved(Image.fromarray(values), "TIFF"), "odd.tif")
    assert not picture.pixels[:2].any() and (picture.pixels[2:] == 128).all()


def half_hidden() -> np.ndarray:
    """Return a face whose left third is invisible, over red, and whose top row is half transparent."""
    values = np.dstack([upright(), np.full(upright().shape[:2], 255, np.uint8)])
    values[:, :74] = (255, 0, 0, 0)
    values[0, 74:, 3] = 128
    return values


def test_hidden_colours_do_not_come_back_and_alpha_is_kept():
    values = half_hidden()
    picture = pictures.decode(saved(Image.fromarray(values), "PNG"), "cut.png")
    assert (picture.pixels[:, :74] == 255).all()
    np.testing.assert_array_equal(picture.pixels[:, 74:], values[:, 74:, :3])
    np.testing.assert_array_equal(picture.alpha, values[..., 3])
    white = picture.on_white()
    assert (white[:, :74] == 255).all()
    np.testing.assert_array_equal(white[1:, 74:], values[1:, 74:, :3])
    assert np.abs(white[0, 74:] - (values[0, 74:, :3] * (128 / 255) + 255 * (127 / 255))).max() <= 1


def test_transparent_colours_of_palettes_and_deep_pictures_are_alpha():
    palette = Image.fromarray(upright()).quantize(16)
    content = saved(palette, "GIF", transparency=int(np.asarray(palette)[0, 0]))
    assert pictures.decode(content, "a.gif").alpha[0, 0] == 0
    deep = np.full((8, 8), 40_000, np.uint16)
    deep[0] = 7
    picture = pictures.decode(saved(Image.fromarray(deep), "PNG", transparency=7), "a.png")
    assert not picture.alpha[0].any() and (picture.alpha[1:] == 255).all() and (picture.pixels[0] == 255).all()
    opaque = Image.fromarray(np.dstack([upright(), np.full(upright().shape[:2], 255, np.uint8)]))
    assert pictures.decode(saved(opaque, "PNG"), "b.png").alpha is None


@pytest.mark.parametrize("ending", pictures.WRITTEN_ENDINGS)
def test_what_is_written_keeps_alpha_and_profile_where_the_format_can(ending):
    values = half_hidden()
    profile = bytes(16) + b"RGB " + bytes(108)
    picture = pictures.decode(saved(Image.fromarray(values), "PNG", icc_profile=profile), "cut.png")
    again = pictures.decode(pictures.encode(picture, ending.upper()), "again")
    assert difference(again.on_white(), picture.on_white()) < 3.0
    assert again.profile == profile
    assert (again.alpha is None) == (ending in (".jpg", ".jpeg"))
    if again.alpha is not None:
        np.testing.assert_array_equal(again.alpha, picture.alpha)


def test_a_large_png_is_exact_keeps_alpha_and_profile_and_is_hardly_larger(monkeypatch):
    generator = np.random.default_rng(0)
    photo = np.kron(upright(), np.ones((2, 2, 1))) + generator.normal(0.0, 2.0, (448, 448, 3))  # with grain
    alpha = np.full((448, 448), 200, np.uint8)
    picture = Picture(photo.clip(0, 255).astype(np.uint8), alpha, bytes(16) + b"RGB " + bytes(108))
    small = pictures.encode(picture, ".png")
    monkeypatch.setattr(pictures, "_LARGE", 100_000)
    large = pictures.encode(picture, ".png")
    assert large != small and len(large) < 1.05 * len(small)
    again = pictures.decode(large, "again")
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    np.testing.assert_array_equal(again.alpha, alpha)
    assert again.profile == picture.profile


def test_a_profile_of_other_colours_is_dropped():
    profile = bytes(16) + b"CMYK" + bytes(108)
    content = saved(Image.fromarray(upright()).convert("CMYK"), "JPEG", icc_profile=profile)
    assert pictures.decode(content, "print.jpg").profile is None


def test_a_picture_too_large_for_its_format_is_a_user_error():
    wide = Picture(np.zeros((1, 17_000, 3), np.uint8))
    with pytest.raises(UserError, match=r"17000 x 1 pixels cannot be written as \.webp .*choose another format"):
        pictures.encode(wide, ".webp")


def test_the_size_is_limited(tmp_path, monkeypatch):
    Image.fromarray(upright()).save(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "MEGAPIXELS", 0.01)
    with pytest.raises(UserError, match=r"a\.png has 224 x 224 pixels; expected at most 0\.01 million"):
        pictures.read(tmp_path / "a.png")
    monkeypatch.setattr(pictures, "LARGEST_FILE", 100)
    with pytest.raises(UserError, match=r"a\.png has [\d,]+ bytes; expected at most 100"):
        pictures.read(tmp_path / "a.png")


def test_what_is_no_picture_is_one_line_that_names_it(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(saved(Image.fromarray(upright()), "JPEG")[:900])
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100))
    (tmp_path / "drawing.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, message in (
        ("text.jpg", "it has no known format"),
        ("empty.jpg", "the file is empty"),
        ("cut.jpg", "cannot be decoded: it is a damaged JPEG"),
        ("phone.heic", "HEIC is not read here; save it as JPEG"),
        ("film.mp4", "it is a film; use the command film"),
        ("drawing.eps", "it has no known format"),
        ("folder.jpg", "is no file"),
        ("pipe.jpg", "is no file"),
        ("none.jpg", "No such file"),
        ("null\0.jpg", "null"),
    ):
        with pytest.raises(UserError) as raised:
            pictures.read(tmp_path / name)
        assert name in str(raised.value) and message in str(raised.value), raised.value
        assert "object at 0x" not in str(raised.value)
    with pytest.raises(UserError, match="^the upload cannot be decoded"):
        pictures.decode(b"GIF89a nonsense", "the upload")
    assert Path(tmp_path / "pipe.jpg").exists()
