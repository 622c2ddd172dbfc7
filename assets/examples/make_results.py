"""Make the results that the app shows when an example is clicked.

    python assets/examples/make_results.py [--method NAME]

Run it again whenever the default method changes: a stale result would promise another picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reposedm.imaging import read_image
from reposedm.jobs.methods import default_method
from reposedm.jobs.repose import repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import drain
from reposedm.ui.examples import all_examples


def main() -> None:
    """Repose every example into its first target pose."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default=default_method("repose"))
    settings = ReposeSettings(method=parser.parse_args().method, seed=0)
    for example in all_examples():
        photo = read_image(example.file)
        result = drain(repose(photo.pixels, example.source, example.target_pose(), settings))
        example.result.parent.mkdir(exist_ok=True)
        picture = Image.fromarray(np.ascontiguousarray(result.images[0]))
        picture.save(example.result, quality=88, comment=b"AI-generated: RePoseDM example result")
        print(f"{example.result.name}: {example.target}, {result.seconds:.1f} s")


if __name__ == "__main__":
    main()
