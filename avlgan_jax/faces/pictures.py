"""The one reader of picture files, for editing, the app, data preparation and folders of frames; and their writer.

    picture = pictures.read(Path("me.jpg"))
    photo = picture.on_white()

A picture is 8 bits per channel, upright, and RGB; it keeps its alpha channel and its colour profile.
"""

import dataclasses
import io
import re
import stat
import warnings
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from avlgan_jax.errors import UserError, one_line

# Limits of one picture. A file of a few bytes can decompress to gigabytes. No photograph of a phone or camera exceeds
# either limit, apart from the 200-megapixel modes of some phones.
MEGAPIXELS = 150
LARGEST_FILE = 200_000_000  # bytes
# Formats of Pillow that are read. The others are rare, are drawings (EPS, which starts another program), or have no
# decoder of their own.
FORMATS = (
    "AVIF",
    "BMP",
    "GIF",
    "ICO",
    "JPEG",
    "JPEG2000",
    "PCX",
    "PNG",
    "PPM",
    "PSD",
    "QOI",
    "TGA",
    "TIFF",
    "WEBP",
)
# Endings of files that are pictures, in a folder that may hold others.
ENDINGS = (".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Endings of the files that `encode` writes, and Pillow's options for each.
_WRITTEN = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95},
    ".jpeg": {"format": "JPEG", "quality": 95},
    ".webp": {"format": "WEBP", "quality": 95},
    ".avif": {"format": "AVIF", "quality": 95},
    ".tif": {"format": "TIFF", "compression": "tiff_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_deflate"},
}
WRITTEN_ENDINGS = tuple(_WRITTEN)
# A PNG of more pixels is compressed by run lengths and Huffman codes alone. A photograph of 12 megapixels then takes
# 1.2 s of processor time instead of 4 to 7 s, and its file is not larger: grain has no repetitions to search for. Small
# pictures keep zlib's search, which halves the file of a sheet of drawings.
_LARGE = 2e6
_OF_LARGE_PNG = {"compress_level": 1, "compress_type": 3}  # zlib's Z_RLE
_WITHOUT_ALPHA = (".jpg", ".jpeg")

_WHITE = 255
# What turns a picture upright, by the EXIF orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE = 258  # tag of TIFF
_PNG = b"\x89PNG\r\n\x1a\n"
# The entry of the EXIF block in the table of an AVIF file, up to the block's type.
_AVIF_EXIF = re.compile(rb"(infe\x02.{7})Exif", re.DOTALL)
# How the files of films begin, after how many bytes: MP4 and MOV, Matroska and WebM, AVI.
_FILMS = ((4, b"ftyp"), (0, b"\x1aE\xdf\xa3"), (8, b"AVI "))
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


@dataclasses.dataclass(frozen=True)
class Picture:
    """An upright picture.

    Attributes:
        pixels: RGB. Where `alpha` is 0 they are white: colours that no program shows do not come back.
        alpha: Opacity from 0 to 255, or None if every pixel is opaque.
        profile: ICC profile of the colours, or None.
    """

    pixels: UInt8[np.ndarray, "h w 3"]
    alpha: UInt8[np.ndarray, "h w"] | None = None
    profile: bytes | None = None

    def on_white(self) -> UInt8[np.ndarray, "h w 3"]:
        """Return the picture as it looks on a white page."""
        if self.alpha is None:
            return self.pixels
        alpha = self.alpha[..., None].astype(np.uint16)
        return ((self.pixels * alpha + _WHITE * (255 - alpha) + 127) // 255).astype(np.uint8)

    def edited(self, pixels: UInt8[np.ndarray, "h w 3"]) -> "Picture":
        """Return the picture with other pixels, under the same alpha and in the same profile."""
        return dataclasses.replace(self, pixels=pixels)


def read(path: Path, name: str | None = None) -> Picture:
    """Read a picture file; `name` is its name in error messages, by default the path.

    Raises:
        UserError: As for `decode`, or there is no such file, it is no regular file, it has more than `LARGEST_FILE`
            bytes, or it cannot be opened.
    """
    name = name or str(path)
    return decode(read_bytes(path, name), name)


def read_bytes(path: Path, name: str) -> bytes:
    """Return the content of a picture file. Raises UserError as `read` does, before anything is decoded."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"{name} is no file; expected a picture file such as JPEG or PNG")
        if found.st_size > LARGEST_FILE:
            raise UserError(f"{name} has {found.st_size:,} bytes; expected at most {LARGEST_FILE:,}: reduce its size")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or one_line(error)
        raise UserError(f"cannot read {name}: {reason}; expected a picture file such as JPEG or PNG") from error


def decode(content: bytes, name: str) -> Picture:
    """Decode the bytes of a picture file. Of an animation, the first picture is decoded.

    Args:
        content: The file.
        name: Its name in error messages.

    Raises:
        UserError: It is none of `FORMATS`, is damaged, or has more than `MEGAPIXELS` million pixels.
    """
    known = None  # the format, once the header is read
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: large pictures, whose size is checked, and damaged EXIF
            with _opened(content) as picture:
                known = picture.format
                _check_size(picture, name)
                picture.load()
                return _converted(_upright(picture))
    except UserError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen types: struct.error, KeyError, RuntimeError, ...
        if known is not None:
            raise UserError(
                f"{name} cannot be decoded: it is a damaged {known} ({_reason(content, error)}); copy it again from "
                "where it came, or choose another picture"
            ) from error
        raise UserError(
            f"{name} cannot be decoded as a picture ({_reason(content, error)}); expected a format such as JPEG or PNG"
        ) from error


def encode(picture: Picture, ending: str) -> bytes:
    """Return the file of a picture.

    Args:
        picture: The picture. JPEG has no alpha: there it is on a white page.
        ending: One of `WRITTEN_ENDINGS`, in any case; it selects the format.

    Raises:
        UserError: The picture is too large for the format.
    """
    ending = ending.lower()
    if picture.alpha is None or ending in _WITHOUT_ALPHA:
        image = Image.fromarray(picture.on_white())
    else:
        image = Image.fromarray(np.dstack([picture.pixels, picture.alpha]))
    options = _WRITTEN[ending] | ({"icc_profile": picture.profile} if picture.profile else {})
    if ending == ".png" and image.width * image.height > _LARGE:
        options |= _OF_LARGE_PNG
    buffer = io.BytesIO()
    try:
        image.save(buffer, **options)
    except Exception as error:  # each encoder has its own limits and its own exceptions
        raise UserError(
            f"a picture of {image.width} x {image.height} pixels cannot be written as {ending} ({one_line(error)}); "
            "choose another format, such as .png"
        ) from error
    return buffer.getvalue()


def _opened(content: bytes) -> Image.Image:
    """Return Pillow's picture, of which only the header is read."""
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except Exception:
        if content[4:12] in (b"ftypavif", b"ftypavis"):
            # For AVIF, Pillow writes the EXIF block anew on opening, which fails for odd but harmless fields. Under
            # another type the block is ignored; the orientation of AVIF is a property of its own and is kept.
            content = _AVIF_EXIF.sub(rb"\1none", content)
        elif content.startswith(_PNG):
            content = _without_damaged_notes(content)
        else:
            raise
        return Image.open(io.BytesIO(content), formats=FORMATS)


def _without_damaged_notes(png: bytes) -> bytes:
    """Return a PNG without the chunks that do not make the picture and whose checksum is wrong, as browsers read it."""
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        is_note = png[at + 4 : at + 5].islower()
        if not is_note or zlib.crc32(png[at + 4 : end - 4]) == int.from_bytes(png[end - 4 : end], "big"):
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def _check_size(picture: Image.Image, name: str) -> None:
    """Raise UserError if the picture, of which only the header was read, has too many pixels."""
    if picture.width * picture.height > MEGAPIXELS * 1e6:
        raise UserError(
            f"{name} has {picture.width} x {picture.height} pixels; expected at most {MEGAPIXELS} million: "
            "reduce its size"
        )


def _upright(picture: Image.Image) -> Image.Image:
    """Return a loaded picture turned upright by its EXIF orientation; one that cannot be read counts as upright.

    Only that one field is read. `ImageOps.exif_transpose` writes all others anew, and fails for sound photographs with
    an odd field that every browser ignores. Pillow has already turned a TIFF when it is loaded.
    """
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged EXIF block; the pixels are intact
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _converted(picture: Image.Image) -> Picture:
    """Return a loaded picture with 8 bits per channel, in RGB."""
    profile = picture.info.get("icc_profile")
    if not (isinstance(profile, bytes) and profile[16:20] == b"RGB " and picture.mode in ("RGB", "RGBA", "P")):
        profile = None  # it describes colours, such as CMYK, that the result does not have
    if picture.mode.startswith(("I", "F")):
        return _from_deep(np.asarray(picture), picture)
    if not picture.has_transparency_data:
        return Picture(np.asarray(picture.convert("RGB")), None, profile)
    values = np.asarray(picture.convert("RGBA"))
    return _with_alpha(values[..., :3], values[..., 3], profile)


def _with_alpha(pixels: np.ndarray, alpha: np.ndarray, profile: bytes | None) -> Picture:
    """Return a picture without the colours that alpha hides."""
    if (alpha == 255).all():
        return Picture(np.ascontiguousarray(pixels), None, profile)
    return Picture(np.where(alpha[..., None] == 0, np.uint8(_WHITE), pixels), np.ascontiguousarray(alpha), profile)


def _from_deep(values: Shaped[np.ndarray, "h w"], picture: Image.Image) -> Picture:
    """Return a grey picture of more than 8 bits, scaled by its depth."""
    share = np.nan_to_num(values.astype(np.float32)) / np.float32(_white_of(values, picture))
    grey = np.rint(255.0 * share.clip(0.0, 1.0)).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    hidden = picture.info.get("transparency")  # of PNG: the grey value that is transparent
    if not isinstance(hidden, int):
        return Picture(pixels)
    return _with_alpha(pixels, np.where(values == hidden, 0, 255).astype(np.uint8), None)


def _white_of(values: np.ndarray, picture: Image.Image) -> float:
    """Return the value of white: what the depth declares, and where it declares nothing, the next usual limit."""
    (bits, *_) = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))
    if picture.mode.startswith("I;16"):
        return 2.0 ** (bits if 8 < bits < 16 else 16) - 1.0
    if picture.mode == "I" and picture.format == "TIFF" and bits == 16:
        return 2.0**15 - 1.0  # signed
    if picture.mode == "I" and picture.format != "TIFF":
        return 2.0**16 - 1.0
    brightest = float(np.nan_to_num(values).max(initial=0.0))
    limits = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
    return next((limit for limit in limits if brightest <= limit), brightest)


def _reason(content: bytes, error: Exception) -> str:
    """Return in a few words why a file cannot be decoded."""
    if not content:
        return "the file is empty"
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC:
        return "HEIC is not read here; save it as JPEG"
    if any(content[at:].startswith(mark) for at, mark in _FILMS) and content[8:12] not in (b"avif", b"avis"):
        return "it is a film; use the command film, or the page's tab of films"
    if isinstance(error, UnidentifiedImageError):
        return "it has no known format"
    # Pillow's messages name the stream in memory, which is none of the person's business.
    return re.sub(r" ?<\S+ object at 0x[0-9a-fA-F]+>", "", one_line(error))[:120]
