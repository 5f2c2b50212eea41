"""Damaged picture files through the one reader of pictures: every file is read, or is one clear error.

    PYTHONPATH=. python tests/fuzz_pictures.py
    PYTHONPATH=. python tests/fuzz_pictures.py --files 500 --only webp,avif

A drawn face is written in several forms of each format, with and without EXIF, and each file is then damaged at random:
bits flipped, pieces cut, zeroed, doubled or inserted, or the end missing. In half of the files with EXIF all damage is
within the EXIF block. "Wrong" counts files that ended in another exception than `UserError`, in a message that does not
name the file or names the stream in memory, or in the end of the process. The exit status is 1 if there are any.
"""

import dataclasses
import functools
import io
import random
import time
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import tyro
from PIL import AvifImagePlugin, Image

from avlgan_jax.errors import UserError
from avlgan_jax.faces import pictures, procedural

# Pillow's options for the forms of each format; "exif" is added to those of the formats that have it.
FORMS = {
    "jpeg": [{}, {"progressive": True}, {"quality": 98, "subsampling": 0}],
    "png": [{}, {"bits": 4}, {"compress_level": 0}],
    "webp": [{}, {"lossless": True}],
    "avif": [{}, {"quality": 95}],
    "tiff": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"}],
    "gif": [{}, {"interlace": 0}],
    "bmp": [{}],
}
WITH_EXIF = ("jpeg", "png", "webp", "avif", "tiff")
MODES = ("RGB", "L", "RGBA")
OUTCOMES = ("read", "refused", "wrong")
NAME = "a picture"
PNG = b"\x89PNG"  # the first bytes of the format


@dataclasses.dataclass(frozen=True)
class Arguments:
    """How many files, and of which formats."""

    files: int = 10_000
    """Damaged files of each format."""
    only: str = ""
    """Formats, separated by commas. Empty: all."""
    seed: int = 0
    """Random seed of the damage."""


def sound_files(kind: str) -> list[tuple[bytes, bytes]]:
    """Return sound files of a format, each with its EXIF block, or b"" where it has none."""
    face = procedural.render(procedural.sample_face(1, 1, 0, False), 0.0, 0.0, 64).image[:, :48]
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x0110], exif[0x0132] = 6, 72.0, "a phone", "2024:01:01 00:00:00"
    files = []
    for mode in MODES:
        image = Image.fromarray(face).convert(mode)
        if mode == "RGBA":
            image.putalpha(Image.fromarray(np.tile(np.arange(0, 256, 4, np.uint8)[:, None], (1, 48))))
        for options in FORMS[kind]:
            for block in (b"", exif.tobytes())[: 1 + (kind in WITH_EXIF)]:
                buffer = io.BytesIO()
                extra = {} if not block else {"tiffinfo": exif} if kind == "tiff" else {"exif": block}
                try:
                    image.save(buffer, kind, **options, **extra)
                except (OSError, ValueError):  # JPEG has no alpha
                    continue
                files.append((buffer.getvalue(), block))
    return files


def damaged(content: bytes, block: bytes, chance: random.Random) -> bytes:
    """Return a file after 1 to 8 changes, all of them within its EXIF block where it has one, in half of the cases."""
    data = bytearray(content)
    start = data.find(block[6:]) if block and chance.random() < 0.5 else -1
    low, high = (start, start + len(block) - 6) if start >= 0 else (0, len(data))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(low, max(low + 1, min(high, len(data))))
        piece = slice(at, min(at + chance.randint(1, 32), high))
        change = chance.choice(("flip", "flip", "random", "zero", "ones", "cut", "double", "insert", "end"))
        if change == "flip" and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif change == "end" and start < 0:
            del data[at:]
        elif change in ("cut", "double", "insert"):
            new = {"cut": b"", "double": data[piece] * 2, "insert": data[piece] + chance.randbytes(8)}[change]
            data[piece] = new
        else:
            size = len(data[piece])
            data[piece] = {"zero": bytes(size), "ones": b"\xff" * size}.get(change) or chance.randbytes(size)
    # A PNG reader refuses any wrong checksum; only with right ones do its decoders see the damage.
    return with_checksums(bytes(data)) if content.startswith(PNG) and chance.random() < 0.5 else bytes(data)


def with_checksums(png: bytes) -> bytes:
    """Return a PNG with the right checksum of every chunk, as far as its lengths are plausible."""
    parts, at = [png[:8]], 8
    while at + 12 <= len(png) and (end := at + 8 + int.from_bytes(png[at : at + 4], "big")) + 4 <= len(png):
        parts += [png[at:end], zlib.crc32(png[at + 4 : end]).to_bytes(4, "big")]
        at = end + 4
    return b"".join([*parts, png[at:]])


def outcome(content: bytes) -> str:
    """Return one of `OUTCOMES` for a file, with the cause where it is "wrong"."""
    try:
        picture = pictures.decode(content, NAME)
        pixels = picture.on_white()
        sound = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        return "read" if sound else f"wrong: pixels of shape {pixels.shape}"
    except UserError as error:
        clear = str(error).startswith(NAME) and "object at 0x" not in str(error) and "\n" not in str(error)
        return "refused" if clear else f"wrong: the message {error}"
    except Exception as error:
        return f"wrong: {type(error).__name__}: {error}"


def fuzz(kind: str, files: int, seed: int) -> tuple[Counter, float]:
    """Return how often each outcome occurred in damaged files of a format, and the slowest reading in seconds."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    chance, sound, found, slowest = random.Random(f"{kind} {seed}"), sound_files(kind), Counter(), 0.0
    for _ in range(files):
        content = damaged(*chance.choice(sound), chance)
        started = time.monotonic()
        found[outcome(content)] += 1
        slowest = max(slowest, time.monotonic() - started)
    return found, slowest


def main() -> None:
    """Fuzz each format in a process of its own, because a fault in a decoder may end it, and print a table."""
    arguments = tyro.cli(Arguments, description=__doc__)
    kinds = list(filter(None, arguments.only.split(","))) or list(FORMS)
    print("| format | damaged files | read | refused in one line | wrong | slowest, s |\n|---|---|---|---|---|---|")
    wrong = Counter()
    for kind in kinds:
        with ProcessPoolExecutor(1) as process:
            task = functools.partial(fuzz, kind, arguments.files, arguments.seed)
            try:
                found, slowest = process.submit(task).result()
            except BrokenProcessPool:
                found, slowest = Counter({"wrong: the process ended": arguments.files}), 0.0
        causes = Counter({f"{kind}: {cause}": n for cause, n in found.items() if cause.startswith("wrong")})
        counts = f"{found['read']:,} | {found['refused']:,} | {sum(causes.values()):,}"
        print(f"| {kind.upper()} | {arguments.files:,} | {counts} | {slowest:.2f} |", flush=True)
        wrong += causes
    for cause, number in wrong.most_common(20):
        print(f"{number} times {cause}")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
