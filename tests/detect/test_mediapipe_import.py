"""mediapipe comes without pyplot, and pyplot comes when it is asked for."""

import subprocess
import sys

SCRIPT = """
import sys
from reposedm.detect.mediapipe_import import import_mediapipe
package = import_mediapipe()
assert package.CalculatorGraph and package is import_mediapipe()
assert "matplotlib.pyplot" not in sys.modules
from mediapipe.python.solutions import drawing_utils
assert drawing_utils.plt.figure.__module__ == "matplotlib.pyplot"  # whoever draws can
import matplotlib.pyplot
assert matplotlib.pyplot.figure is drawing_utils.plt.figure
"""
LOADED = """
import matplotlib.pyplot as before
from reposedm.detect.mediapipe_import import import_mediapipe
import_mediapipe()
from mediapipe.python.solutions import drawing_utils
assert drawing_utils.plt is before
"""


def run(script: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def test_pyplot_waits_until_somebody_draws() -> None:
    run(SCRIPT)


def test_pyplot_that_is_there_stays() -> None:
    run(LOADED)
