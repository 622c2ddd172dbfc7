"""The fixtures of all browser tests; see ``chromium_harness``."""

from chromium_harness import browser, editor_url, open_page

__all__ = ["browser", "editor_url", "open_page"]
