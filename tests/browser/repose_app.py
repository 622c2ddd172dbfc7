"""The real app on ``$PORT``, with a slow step-wise method beside ``preview``.

What the method does is printed, so that a test can see when it was stopped.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

os.environ["REPOSEDM_WEIGHTS"] = tempfile.mkdtemp(prefix="reposedm-test-weights-")

import methods as tiny

from reposedm.pipelines import loading
from reposedm.pipelines.base import Output, Step

SECONDS_A_STEP = 0.1


class SlowDiffusion(tiny.TinyDiffusion):
    """The tiny method of the tests, a tenth of a second a step, with previews."""

    def stream(self, image: Any, *poses: Any, **options: Any) -> Generator[Step, None, Output]:
        work = super().stream(image, *poses, **options)
        index = 0
        try:
            while True:
                try:
                    step = next(work)
                except StopIteration as stop:
                    return stop.value
                index = step.index
                time.sleep(SECONDS_A_STEP)
                preview = np.dstack((image, np.full(image.shape[:2], 255, np.uint8)))
                yield Step(step.index, step.total, step.stage, [preview])
        except GeneratorExit:
            print(f"CLOSED AT {index}", flush=True)
            work.close()
            raise


def main() -> None:
    folder = Path(os.environ["REPOSEDM_WEIGHTS"])
    tiny.write_weights(folder)
    # This script is "__main__": the loader must find the class in this very module.
    sys.modules["repose_app"] = sys.modules[__name__]
    loading.METHODS[tiny.NAME] = loading.Entry("repose_app", "SlowDiffusion", (tiny.FILE,), "-")
    from reposedm.ui.app import serve

    serve(port=int(os.environ["PORT"]), open_browser=False)


if __name__ == "__main__":
    main()
