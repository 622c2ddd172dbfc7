"""Start the app: ``python app.py`` opens a browser; ``python app.py --help`` lists the flags."""

from __future__ import annotations

import argparse
import os
import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    sys.exit("RePoseDM needs Python 3.11 or 3.12: mediapipe has no wheels for others yet.")
# Before gradio is imported: its analytics would call home at start, launch and error.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def _port(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line of the app."""
    parser = argparse.ArgumentParser(description="Repose the person in a photograph.")
    parser.add_argument("--port", type=_port, help="port to listen on (default: 7860 or the next)")
    parser.add_argument("--listen", action="store_true", help="accept other machines (0.0.0.0)")
    parser.add_argument("--share", action="store_true", help="public link through gradio's servers")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors for this login")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Build the interface and serve it until interrupted."""
    flags = parse(argv)
    from reposedm.errors import RePoseError
    from reposedm.ui.app import serve

    try:
        serve(
            port=flags.port,
            listen=flags.listen,
            share=flags.share,
            auth=flags.auth,
            open_browser=not flags.no_browser,
        )
    except RePoseError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
