"""Property tests: how many examples hypothesis draws.

``make test`` takes the profile "ci"; ``HYPOTHESIS_PROFILE=thorough`` searches for minutes.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("ci", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

examples = settings()
"""A decorator: as many examples as the profile says, and no deadline for any of them."""
