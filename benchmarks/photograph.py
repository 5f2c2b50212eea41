"""A real photograph before and after: `python -m benchmarks.photograph OUT.png [--weights RUN]`.

scikit-image's astronaut, edited by `synthesize.py` as a person would.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

EMOTION = "anger"


def main() -> None:
    """Edit, and lay both beside each other."""
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
        # The upper part, where the face is.
        pair = [np.asarray(Image.open(path))[:300, 80:380] for path in (photo, edited)]
    Image.fromarray(np.hstack(pair)).save(out)


if __name__ == "__main__":
    main()
