"""Make the Garment tab's examples: product pictures, and the results that a click shows.

    python assets/examples/make_garments.py products   # needs the pack, see training/synthetic
    python assets/examples/make_garments.py results [--method NAME]

Run ``results`` again whenever the default method changes: a stale result would promise another
picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reposedm.jobs.methods import default_method

HERE = Path(__file__).resolve().parent
SIZE = (960, 704)
PRODUCTS = {
    "product-trousers.jpg": (7000022, "BOTTOM"),
    "product-cardigan.jpg": (7000026, "TOP"),
}
"""File -> seed of the rendered person, and which of their garments."""


def products() -> None:
    """Render the garments alone, on white."""
    from training.synthetic.assets import find_pack, load_assets
    from training.synthetic.labels import Material
    from training.synthetic.person import make_person
    from training.synthetic.product import render_product

    assets = load_assets(find_pack(""))
    for name, (seed, material) in PRODUCTS.items():
        made = render_product(assets, make_person(assets, seed), Material[material], SIZE)
        if made is None:
            sys.exit(f"{name}: the person of seed {seed} wears no {material}")
        file = HERE / name
        Image.fromarray(made.view.image).save(file, quality=86)
        print(f"{name}: {file.stat().st_size // 1024} KB")


def results(method: str) -> None:
    """Swap the garment of every example."""
    from reposedm.imaging import read_image
    from reposedm.jobs.swap import SwapSettings, swap
    from reposedm.pipelines.base import drain
    from reposedm.ui.garment_examples import all_examples

    for example in all_examples():
        settings = SwapSettings(method=method, region=example.region, seed=0)
        person, garment = read_image(example.person), read_image(example.garment)
        result = drain(
            swap(person.pixels, example.pose, garment.pixels, example.garment_pose, settings)
        )
        picture = Image.fromarray(np.ascontiguousarray(result.images[0]))
        picture.save(example.result, quality=88, comment=b"AI-generated: RePoseDM example result")
        print(f"{example.result.name}: {example.title}, {result.seconds:.1f} s")


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("products", "results"))
    parser.add_argument("--method", default=default_method("swap"))
    chosen = parser.parse_args()
    if chosen.what == "products":
        products()
    else:
        results(chosen.method)


if __name__ == "__main__":
    main()
