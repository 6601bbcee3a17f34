"""Draw the pictures of the documentation anew: ``python docs/scripts/pictures.py``. With ``--check``, say what changed.

A picture that only looks the same is the same: numbers may differ in the last digits from machine to machine, and
what another version of matplotlib draws is not compared at all.
"""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np

SCRIPTS = Path(__file__).parent
PICTURES = SCRIPTS.parent / "pictures"
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
RASTER = re.compile(r"data:image/png;base64,\s*([^\"]*)")
VERSION = re.compile(r"Matplotlib v([\d.]+)")


def pixels(text: str) -> list[np.ndarray]:
    return [matplotlib.image.imread(io.BytesIO(base64.b64decode(data))) for data in RASTER.findall(text)]


def same(old: str, new: str) -> bool:
    """Whether two SVG files show the same: equal but for a tenth of a point, and for faint differences of shade."""
    if old == new:
        return True
    version = VERSION.search(old)
    if version and version[1] != matplotlib.__version__:
        print(f"  not compared, drawn by matplotlib {version[1]}")
        return True
    plain_old, plain_new = RASTER.sub("", old), RASTER.sub("", new)
    # Names of shapes are digests of their coordinates.
    names = re.compile(r"(?<=[\"#])[a-z]\w{8,}(?=[\")])")
    if names.sub("", NUMBER.sub("", plain_old)) != names.sub("", NUMBER.sub("", plain_new)):
        return False
    numbers = [np.array(NUMBER.findall(text), float) for text in (plain_old, plain_new)]
    if not np.allclose(*numbers, rtol=0, atol=0.1):
        return False
    return all(a.shape == b.shape and np.abs(a - b).mean() < 0.01 for a, b in zip(pixels(old), pixels(new)))


def main() -> int:
    before = {path: path.read_text(encoding="utf-8") for path in PICTURES.glob("*.svg")}
    for script in [*sorted(SCRIPTS.glob("pictures_*.py")), SCRIPTS / "gallery.py"]:
        print(script.name, flush=True)
        subprocess.run([sys.executable, script], check=True, stdout=subprocess.DEVNULL)
    after = {path: path.read_text(encoding="utf-8") for path in PICTURES.glob("*.svg")}
    if "--check" not in sys.argv:
        return 0
    changed = [path.name for path in after if path not in before or not same(before[path], after[path])]
    for name in changed:
        print(f"{name} is not what is committed: look at it, and commit it")
    print(f"{len(after)} pictures, {len(changed)} changed")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())
