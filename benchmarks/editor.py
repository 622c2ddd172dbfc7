"""How long the page's geometry takes for one pointer move and one commit, and the script's size.

    python -m benchmarks.editor [--people 20] [--moves 2000]

Runs the editor's core under node, without a page: what the browser adds (painting the SVG) is not
in these times. The goal is 2 ms a move with 20 people, of which the map is the largest part.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
from pathlib import Path

STATIC = Path(__file__).parents[1] / "pose_editor" / "static"

SCRIPT = """
const { core, people, moves } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const load = (name) => require(core + "/" + name + ".js");
const K = load("kinematics"), A = load("actions"), D = load("document");
const P = load("plausibility"), M = load("map"), H = load("history");
const size = [1536, 2048];
let doc = { ...D.empty(), width: size[0], height: size[1] };
for (let i = 0; i < people; i++) {
  doc = D.addPerson(doc, A.standing(size).map(([x, y, ...rest]) => [
    size[0] * ((i % 5) / 5) + x / 3, size[1] * (Math.floor(i / 5) / 4) + y / 3, ...rest]));
}
const canvas = M.create(size), history = H.open("benchmark");
history.reset(doc);
const source = D.sourceKp(doc), options = { source, size };
const parts = {
  drag: (i) => {
    const joint = [4, 3, 10, 0, 1][i % 5], mode = [K.FOLLOW, K.ONE, K.LENGTHS][i % 3];
    const [x, y] = source[joint];
    return K.drag(source, joint, x + 40 * Math.sin(i), y + 40 * Math.cos(i), { mode, size });
  },
  lengths: (i, kp) => P.tooLong(kp, options),
  map: (i, kp) => canvas.draw(doc.people.map((p, at) => (at === doc.selected ? kp : p.keypoints))),
};
const times = { move: [], drag: [], lengths: [], map: [], check: [], commit: [] };
const timed = (name, run) => {
  const start = process.hrtime.bigint(), made = run();
  times[name].push(Number(process.hrtime.bigint() - start) / 1e6);
  return made;
};
for (let i = 0; i < moves; i++) {
  timed("move", () => {
    const kp = timed("drag", () => parts.drag(i));
    timed("lengths", () => parts.lengths(i, kp));
    timed("map", () => parts.map(i, kp));
  });
  if (i % 10) continue;
  const kp = parts.drag(i);
  timed("check", () => P.check(kp, options));
  timed("commit", () => {
    const next = D.round(D.withKeypoints(doc, doc.selected, kp));
    history.push(next);
    return structuredClone(next);
  });
}
const at = (list, part) => list.sort((a, b) => a - b)[Math.floor(part * (list.length - 1))];
console.log(JSON.stringify(Object.fromEntries(Object.entries(times).map(
  ([name, list]) => [name, { median: at(list, 0.5), p95: at(list, 0.95), max: at(list, 1) }]))));
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--moves", type=int, default=2000)
    options = parser.parse_args()
    given = {"core": str(STATIC / "core"), "people": options.people, "moves": options.moves}
    done = subprocess.run(
        ["node", "-e", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    print(f"{options.people} people, {options.moves} moves, milliseconds:")
    for name, row in json.loads(done.stdout).items():
        print(f"  {name:8}" + "".join(f"  {key} {value:.3f}" for key, value in row.items()))
    for part in ("core", "ui"):
        texts = [file.read_bytes() for file in sorted((STATIC / part).glob("*.js"))]
        packed = len(gzip.compress(b"".join(texts)))
        print(
            f"{part}: {sum(map(len, texts)) / 1000:.1f} KB of script, {packed / 1000:.1f} KB packed"
        )


if __name__ == "__main__":
    main()
