"""A photograph and its edits: `python -m benchmarks.photograph OUT.png [--weights RUN]`.

Edits scikit-image's astronaut with `synthesize.py`, which receives all options after OUT.png.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

EMOTIONS = ("happy", "sad", "anger", "surprise")


def main() -> None:
    """Edit the photograph to each of EMOTIONS, and save it and the edits side by side."""
    from skimage import data

    out, *options = sys.argv[1:]
    script = str(Path(__file__).parents[1] / "synthesize.py")
    with tempfile.TemporaryDirectory() as folder:
        pictures = [Path(folder, "astronaut.png")]
        Image.fromarray(data.astronaut()).save(pictures[0])
        for emotion in EMOTIONS:
            edited = Path(folder, f"{emotion}.png")
            command = [script, "edit", str(pictures[0]), "--emotion", emotion, "--out", str(edited), *options]
            subprocess.run([sys.executable, *command], check=True)
            pictures.append(edited)
        # The part with the face.
        row = [np.asarray(Image.open(path))[:240, 100:340] for path in pictures]
    Image.fromarray(np.hstack(row)).save(out)


if __name__ == "__main__":
    main()
