// The OpenPose map exactly as reposedm/pose/draw.py draws it: OpenCV's ellipse2Poly, fillConvexPoly
// and circle, redone on a pixel buffer. Canvas paths would smooth the edges and differ by device.
const PoseMap = ((S) => {
  const STICK = 4, SHORT_SIDE = 512, DIM = 0.6, MAX_SIDE = 8192, OPAQUE = 0xff000000;
  // OpenCV's own table of sines has seven decimals; the roundings below depend on it.
  const SINE = Float32Array.from({ length: 451 }, (_, degree) =>
    Math.round(Math.sin((degree * Math.PI) / 180) * 1e7) / 1e7);
  const pack = (color, factor) => { // the buffer is little-endian RGBA
    const [r, g, b] = color.map((value) => Math.trunc(value * factor));
    return (OPAQUE | (b << 16) | (g << 8) | r) >>> 0;
  };
  const LIMB_COLORS = S.LIMBS.map((_, limb) => pack(S.COLORS[limb], DIM));
  const JOINT_COLORS = S.COLORS.map((color) => pack(color, 1));
  const roundEven = (value) => { // C's lrint: halves to the even neighbour
    const up = Math.round(value);
    return up - value === 0.5 && up % 2 ? up - 1 : up;
  };

  // Half-widths of a filled circle's rows (OpenCV's midpoint circle), centre row first.
  function discRows(radius) {
    const rows = [];
    let err = 0, dx = radius, dy = 0, plus = 1, minus = 2 * radius - 1;
    while (dx >= dy) {
      rows[dy] = Math.max(rows[dy] ?? 0, dx);
      rows[dx] = Math.max(rows[dx] ?? 0, dy);
      dy++;
      err += plus;
      plus += 2;
      if (err > 0) { err -= minus; dx--; minus -= 2; }
    }
    return rows;
  }
  // A shape is {color, top, spans}: spans holds the first and last x of each row from `top` on.
  function disc(x, y, rows, color) {
    const spans = [], radius = rows.length - 1;
    for (let row = -radius; row <= radius; row++) {
      spans.push(x - rows[Math.abs(row)], x + rows[Math.abs(row)]);
    }
    return { color, top: y - radius, spans };
  }
  function widen(spans, row, x) {
    if (x < spans[2 * row]) spans[2 * row] = x;
    if (x > spans[2 * row + 1]) spans[2 * row + 1] = x;
  }
  // A convex polygon is the extent of its edges in each row: OpenCV draws them with Bresenham's line
  // and fills between their rounded places, which differ where a line passes midway.
  function edge(spans, top, x, y, toX, toY) {
    if (toX < x) [x, y, toX, toY] = [toX, toY, x, y];
    const dx = toX - x, dy = Math.abs(toY - y), stepY = toY < y ? -1 : 1, steep = dy > dx;
    const fromX = x, fromY = y;
    const long = steep ? dy : dx, short = steep ? dx : dy;
    let err = long - 2 * short;
    for (let i = 0; i <= long; i++) {
      widen(spans, y - top, x);
      const aside = err < 0;
      err += (aside ? 2 * long : 0) - 2 * short;
      if (steep || aside) y += stepY;
      if (!steep || aside) x++;
    }
    const slope = (stepY * dx) / dy;
    const first = Math.min(fromY, toY), start = stepY > 0 ? fromX : toX;
    for (let i = 0; i < dy; i++) widen(spans, first + i - top, Math.floor(start + i * slope + 0.5));
  }
  function ellipse([ax, ay], [bx, by], thick, color) {
    const cx = Math.trunc((ax + bx) / 2), cy = Math.trunc((ay + by) / 2);
    const half = Math.trunc(Math.hypot(ax - bx, ay - by) / 2);
    const degrees = Math.trunc((Math.atan2(ay - by, ax - bx) * 180) / Math.PI);
    const angle = degrees < 0 ? degrees + 360 : degrees;
    const cosine = SINE[450 - angle], sine = SINE[angle];
    const points = [];
    let top = Infinity, bottom = -Infinity;
    for (let i = 0, n = 0; i <= 360; i++) {
      const u = half * SINE[450 - i], v = thick * SINE[i];
      const x = roundEven(cx + u * cosine - v * sine), y = roundEven(cy + u * sine + v * cosine);
      if (n && x === points[n - 2] && y === points[n - 1]) continue;
      points.push(x, y);
      n += 2;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
    }
    const spans = [];
    for (let row = top; row <= bottom; row++) spans.push(Infinity, -Infinity);
    let x = points[points.length - 2], y = points[points.length - 1];
    for (let i = 0; i < points.length; i += 2) {
      edge(spans, top, x, y, points[i], points[i + 1]);
      x = points[i];
      y = points[i + 1];
    }
    return { color, top, spans };
  }

  // Scaled as Python does it, from float32, in the same order: it decides which pixel is hit.
  function shapes(kp, size, map, thick, rows) {
    const at = kp.map((point) => size.map((side, i) => (Math.fround(point[i]) / side) * map[i]));
    const limbs = S.LIMBS.flatMap(([a, b], limb) => (kp[a][3] && kp[b][3]
      ? [ellipse(at[a], at[b], thick, LIMB_COLORS[limb])] : []));
    const joints = at.flatMap(([x, y], joint) => (kp[joint][3]
      ? [disc(Math.trunc(x), Math.trunc(y), rows, JOINT_COLORS[joint])] : []));
    return [...limbs, ...joints];
  }
  function bounds(list) { // [left, top, right, bottom], ends excluded
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const { top, spans } of list) {
      box[1] = Math.min(box[1], top);
      box[3] = Math.max(box[3], top + spans.length / 2);
      for (let i = 0; i < spans.length; i += 2) {
        if (spans[i] < box[0]) box[0] = spans[i];
        if (spans[i + 1] >= box[2]) box[2] = spans[i + 1] + 1;
      }
    }
    return box;
  }
  const union = (a, b) => [
    Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
  const meets = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
  const NOTHING = [Infinity, Infinity, -Infinity, -Infinity];

  function mapSize(size, shortSide = SHORT_SIDE) {
    const scale = Math.min(shortSide / Math.min(...size), MAX_SIDE / Math.max(...size));
    return size.map((side) => Math.max(1, roundEven(side * scale)));
  }

  function create(size, shortSide = SHORT_SIDE) {
    const map = mapSize(size, shortSide), [width, height] = map;
    const thick = Math.max(1, roundEven((STICK * Math.min(...map)) / SHORT_SIDE));
    const rows = discRows(thick);
    const data = new Uint8ClampedArray(width * height * 4), pixels = new Uint32Array(data.buffer);
    pixels.fill(OPAQUE);
    let people = []; // {key, list, box}, kept so that a drag redraws one person only
    function fill({ color, top, spans }, [l, t, r, b]) {
      const end = Math.min(b, top + spans.length / 2);
      for (let y = Math.max(t, top); y < end; y++) {
        const i = 2 * (y - top), from = Math.max(l, spans[i]), to = Math.min(r, spans[i + 1] + 1);
        if (from < to) pixels.fill(color, y * width + from, y * width + to);
      }
    }
    const canvas = { width, height, data, dirty: [0, 0, width, height], draw };
    function draw(kps) {
      const before = people;
      people = kps.map((kp, i) => {
        const key = kp.map(([x, y, , state]) => `${x},${y},${state}`).join();
        if (before[i]?.key === key) return before[i];
        const list = shapes(kp, size, map, thick, rows);
        return { key, list, box: bounds(list) };
      });
      let box = NOTHING;
      for (let i = 0; i < Math.max(people.length, before.length); i++) {
        if (people[i] === before[i]) continue;
        for (const person of [people[i], before[i]]) if (person) box = union(box, person.box);
      }
      box = [
        Math.max(0, box[0]), Math.max(0, box[1]), Math.min(width, box[2]), Math.min(height, box[3])];
      const [l, t, r, b] = box;
      canvas.dirty = l < r && t < b ? [l, t, r - l, b - t] : [0, 0, 0, 0];
      if (!canvas.dirty[2]) return canvas;
      for (let y = t; y < b; y++) pixels.fill(OPAQUE, y * width + l, y * width + r);
      for (const person of people) {
        if (meets(person.box, box)) for (const shape of person.list) fill(shape, box);
      }
      return canvas;
    }
    return canvas;
  }
  const render = (kps, size, shortSide) => create(size, shortSide).draw(kps);

  function paint(ctx, canvas, all = false) {
    const [x, y, w, h] = all ? [0, 0, canvas.width, canvas.height] : canvas.dirty;
    if (!w) return;
    ctx.putImageData(new ImageData(canvas.data, canvas.width, canvas.height), 0, 0, x, y, w, h);
  }

  return { mapSize, create, render, paint };
})(typeof PoseSkeleton === "undefined" ? require("./skeleton.js") : PoseSkeleton);
if (typeof module !== "undefined") module.exports = PoseMap;
