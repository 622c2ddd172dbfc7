"""Command line of the renderer: ``render`` a data set, or build the asset ``pack``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from reposedm.errors import RePoseError, SettingsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 2 after an error the user can act on, which is printed in one line."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except RePoseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.synthetic", description=__doc__)
    commands = parser.add_subparsers(required=True)
    render = commands.add_parser("render", help="render a data set into a folder")
    render.set_defaults(run=_render)
    render.add_argument("--out", required=True, help="folder to write")
    render.add_argument("--assets", default="", help="asset pack (default: $REPOSEDM_ASSETS)")
    render.add_argument("--identities", type=int, default=10)
    render.add_argument("--poses-per-identity", type=int, default=6)
    render.add_argument("--size", default="256x176", help="height x width")
    render.add_argument("--seed", type=int, default=0)
    render.add_argument("--workers", type=int, default=2, help="0: in this process")
    render.add_argument("--mode", default="studio", help="studio, wild, mixed or surveillance")
    render.add_argument("--outfits", type=int, default=1, help="render each picture in so many")
    render.add_argument("--products", action="store_true", help="garments alone, with landmarks")
    render.add_argument("--photographic", type=float, default=0.0, help="0 none, 1 as photographs")
    render.add_argument(
        "--one-camera", action="store_true", help="one camera for all pictures of a person"
    )
    render.add_argument("--samples", type=int, default=2, help="per pixel along each side")
    render.add_argument("--full-body-only", action="store_true")
    render.add_argument("--quality", type=int, default=92, help="of JPEG")
    render.add_argument("--max-seconds", type=float, default=0.0)
    pack = commands.add_parser("pack", help="build the asset pack from MakeHuman's files")
    pack.set_defaults(run=_pack)
    pack.add_argument("--makehuman", required=True, help="clone of makehumancommunity/makehuman")
    pack.add_argument("--assets", required=True, help="clone of .../makehuman-assets")
    pack.add_argument("--textures", required=True, help="the same tree with the textures' files")
    pack.add_argument("--out", required=True, help="folder to write")
    pack.add_argument("--texture-size", type=int, default=512)
    return parser


def _render(options: argparse.Namespace) -> int:
    from training.synthetic.assets import find_pack
    from training.synthetic.dataset import Plan, render_dataset

    plan = Plan(
        options.out, str(find_pack(options.assets)), options.identities,
        options.poses_per_identity, _size(options.size), options.seed, options.mode,
        options.outfits, options.products, options.photographic, options.samples,
        options.full_body_only, options.quality, options.workers, options.one_camera,
    )  # fmt: skip
    started, pictures = time.monotonic(), 0
    for count, record in enumerate(render_dataset(plan, options.max_seconds), 1):
        pictures += len(record["views"]) * plan.outfits
        if count % 50 == 0 or count == plan.identities:
            rate = pictures / (time.monotonic() - started)
            print(f"{count} people, {pictures} pictures, {rate:.1f} pictures/s", flush=True)
    return 0


def _pack(options: argparse.Namespace) -> int:
    from training.synthetic.pack import build_pack

    report = build_pack(
        options.makehuman, options.assets, options.textures, options.out, options.texture_size
    )
    print(report)
    return 0


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise SettingsError(f"a size is written 256x176 (height x width), not {text!r}")
    return int(height), int(width)


if __name__ == "__main__":
    sys.exit(main())
