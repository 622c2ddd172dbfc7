"""What a run did, on one page that needs nothing beside it; and the contact sheet."""

from __future__ import annotations

import base64
import html
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from reposedm.augment.naming import Shot, Understood
from reposedm.augment.pictures import PictureSet
from reposedm.errors import RePoseError
from reposedm.imaging import read_image

if TYPE_CHECKING:
    from reposedm.augment.run import Summary

Image = NDArray[np.uint8]

THUMBNAIL: Final = (128, 64)
"""(height, width) of a cell of the sheet."""
IDENTITIES_SHOWN: Final = 30
PICTURES_SHOWN: Final = 8
SKIPPED_SHOWN: Final = 50
FRAMED: Final = (79, 70, 229)
"""Colour of the frame around a source."""

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;
color:#1c1c1e;background:#fff}table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{border-bottom:1px solid #ddd;padding:.25rem .75rem;text-align:left;vertical-align:top}
.who{display:flex;gap:4px;flex-wrap:wrap;align-items:end;margin:.4rem 0 1rem}
figure{margin:0;font-size:12px;color:#666}img{display:block;height:128px;width:auto}
.source img{outline:3px solid #4f46e5}
@media(prefers-color-scheme:dark){body{background:#18181b;color:#e4e4e7}td,th{border-color:#3f3f46}}
"""


def understood_table(understood: Understood) -> list[tuple[str, str]]:
    """What was understood of a set, as rows of a table: words and values."""
    counts = Counter(shot.pid for shot in understood.shots)
    cameras = understood.cameras
    rows = [
        ("Names", understood.kind),
        ("Identities", str(len(counts))),
        ("Pictures", str(len(understood.shots))),
    ]
    if counts:
        least, most = min(counts.values()), max(counts.values())
        each = str(least) if least == most else f"{least} to {most}"
        rows.append(("Pictures of an identity", each))
    rows.append(
        ("Cameras", f"{len(cameras)}: " + ", ".join(f"c{c} {n}" for c, n in cameras.items()))
    )
    for reason, count in Counter(one.reason for one in understood.skipped).most_common():
        rows.append((f"Skipped: {reason}", str(count)))
    return rows


def report_page(
    pictures: PictureSet,
    summary: Summary,
    rows: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
) -> str:
    """The page, self-contained HTML.

    Args:
        pictures: the set, still open: the sources are shown.
        summary: what the run came to.
        rows: the manifest.
        settings: run.json.
    """
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>RePoseDM augmentation</title>",
        f"<style>{_STYLE}</style><h1>Augmentation</h1>",
        f"<p>{summary.kept} of {summary.planned} planned pictures were made and kept. "
        "All of them are generated, and marked as such in the file.</p>",
        "<h2>The set</h2>",
        _table(understood_table(summary.understood)),
    ]
    if summary.unposed:
        parts += ["<h2>Pictures without a usable person</h2>",
                  _table((reason, str(n)) for reason, n in summary.unposed.items())]  # fmt: skip
    if summary.reasons:
        parts += ["<h2>Planned pictures that were not kept</h2>",
                  _table((reason, str(n)) for reason, n in summary.reasons.items())]  # fmt: skip
    scores = _scores(rows)
    if scores:
        parts += ["<h2>Quality</h2>", _table(scores)]
    parts += ["<h2>Pictures</h2>", *_sheet(pictures, summary, rows)]
    skipped = [(one.name, one.reason) for one in summary.understood.skipped[:SKIPPED_SHOWN]]
    if skipped:
        parts += ["<h2>Skipped files</h2>", _table(skipped)]
        more = len(summary.understood.skipped) - len(skipped)
        parts.append(f"<p>and {more} more</p>" if more > 0 else "")
    listed = [(name, json.dumps(value, ensure_ascii=False)) for name, value in settings.items()]
    parts += ["<h2>Settings</h2>", _table(listed), "</html>\n"]
    return "\n".join(parts)


def contact_sheet(pictures: Sequence[Image], columns: int = 12) -> Image:
    """Pictures in rows of cells, newest last: uint8 (H, W, 3); one grey cell without any."""
    height, width = THUMBNAIL
    cells = [_cell(picture) for picture in pictures] or [np.full((height, width, 3), 200, np.uint8)]
    columns = min(columns, len(cells))
    count = -(-len(cells) // columns)
    sheet = np.full((count * (height + 2), columns * (width + 2), 3), 255, np.uint8)
    for index, cell in enumerate(cells):
        y, x = (index // columns) * (height + 2), (index % columns) * (width + 2)
        sheet[y : y + height, x : x + width] = cell
    return sheet


def identity_sheet(
    pictures: PictureSet, out: Path, rows: Sequence[Mapping[str, str]], columns: int = 12
) -> Image:
    """Each source, framed, and after it what was made of it: uint8 (H, W, 3)."""
    shots = {shot.key: shot for shot in pictures.understood.shots}
    cells: list[Image] = []
    shown: set[str] = set()
    for row in rows:
        if row["kept"] != "yes":
            continue
        if row["source"] not in shown:
            shown.add(row["source"])
            cell = _cell(pictures.photo(shots[row["source"]])[0])
            height, width = THUMBNAIL
            cells.append(cv2.rectangle(cell, (0, 0), (width - 1, height - 1), FRAMED, 3))  # type: ignore[arg-type]
        cells.append(read_image(out / row["name"], min_side=1).pixels)
    return contact_sheet(cells, columns)


def _cell(picture: Image) -> Image:
    """A picture scaled into a cell, on grey."""
    height, width = THUMBNAIL
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(picture, size, interpolation=method)
    cell = np.full((height, width, 3), 128, np.uint8)
    y, x = (height - size[1]) // 2, (width - size[0]) // 2
    cell[y : y + size[1], x : x + size[0]] = small
    return cell


def _sheet(pictures: PictureSet, summary: Summary, rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Identities with their sources and what was made of them."""
    own: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["kept"] == "yes":
            own.setdefault(row["identity"], []).append(row)
    shots = {shot.key: shot for shot in summary.understood.shots}
    parts = []
    for identity, made in list(own.items())[:IDENTITIES_SHOWN]:
        figures, sources = [], set()
        for row in made[:PICTURES_SHOWN]:
            if row["source"] not in sources:
                sources.add(row["source"])
                figures.append(_source_figure(pictures, shots.get(row["source"])))
            picture = read_image(summary.out / row["name"], min_side=1).pixels
            figures.append(_figure(picture, row["name"], ""))
        parts.append(f"<h3>{html.escape(identity)}</h3><div class=who>{''.join(figures)}</div>")
    more = len(own) - IDENTITIES_SHOWN
    if more > 0:
        parts.append(f"<p>and {more} more identities</p>")
    return parts


def _source_figure(pictures: PictureSet, shot: Shot | None) -> str:
    if shot is None:
        return ""
    try:
        return _figure(pictures.photo(shot)[0], shot.key, "source")
    except RePoseError:
        return ""


def _figure(picture: Image, caption: str, kind: str) -> str:
    file = io.BytesIO()
    small = picture
    if picture.shape[0] > 2 * THUMBNAIL[0]:
        scale = 2 * THUMBNAIL[0] / picture.shape[0]
        size = (max(1, round(picture.shape[1] * scale)), 2 * THUMBNAIL[0])
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    PillowImage.fromarray(small).save(file, "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    name = html.escape(caption)
    return (
        f'<figure class="{kind}" title="{name}"><img alt="{name}" '
        f'src="data:image/jpeg;base64,{data}"></figure>'
    )


def _scores(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Means of the scores, where there are any."""
    words = {"pckh": "PCKh of the wanted pose", "similarity": "similarity to the own identity",
             "rival": "similarity to the nearest other identity"}  # fmt: skip
    found = []
    for name, word in words.items():
        values = [float(row[name]) for row in rows if row[name]]
        if values:
            found.append((f"{word}, mean of {len(values)}", f"{np.mean(values):.3f}"))
    return found


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{cells}</table>"
