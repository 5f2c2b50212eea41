"""A photograph before and after editing: `python -m benchmarks.photograph OUT.png [--weights RUN]`.

Edits scikit-image's astronaut with `synthesize.py`, which receives all options after OUT.png.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

EMOTION = "anger"


def main() -> None:
    """Edit the photograph and save both versions side by side."""
    from skimage import data

    out, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        photo, edited = Path(folder, "astronaut.png"), Path(folder, "edited.png")
        Image.fromarray(data.astronaut()).save(photo)
        command = [
            str(Path(__file__).parents[1] / "synthesize.py"),
            "edit",
            str(photo),
            "--emotion",
            EMOTION,
            "--out",
            str(edited),
            *options,
        ]
        subprocess.run([sys.executable, *command], check=True)
        # The part with the face.
        pair = [np.asarray(Image.open(path))[:300, 80:380] for path in (photo, edited)]
    Image.fromarray(np.hstack(pair)).save(out)


if __name__ == "__main__":
    main()
