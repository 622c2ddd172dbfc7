// A pose on another body: the twin of reposedm/pose/retarget.py, whose text explains the steps.
const PoseRetarget = ((S, K) => {
  const NOSE = 0, NECK = 1, MID = S.N; // points have the middle of the hips as a 19th entry
  const SHOULDERS = [2, 5], HIPS = [8, 11], ANKLES = [10, 13], HEAD = [14, 15, 16, 17];
  const FAR = 1000, UNIT = 1000; // bones of almost no length are not blown up without end
  const RATIO = [
    0.355, 1, 0.4, 0.62, 0.5, 0.4, 0.62, 0.5, 0.21, 0.82, 0.82, 0.21, 0.82, 0.82,
    0.12, 0.12, 0.21, 0.21,
  ];
  const REST = [
    [0, -1], [0, 1], [-1, 0], [-0.2, 0.98], [-0.1, 0.995], [1, 0], [0.2, 0.98], [0.1, 0.995],
    [-1, 0], [-0.05, 0.999], [0, 1], [1, 0], [0.05, 0.999], [0, 1],
    [-0.5, -0.7], [0.5, -0.7], [-0.4, 0.16], [0.4, 0.16],
  ];
  const ORDER = [0, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 14, 15, 16, 17];
  const SCALE_BONES = [1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13];
  const HEAD_SPANS = [[16, 17, 0.29], [14, 15, 0.12], [14, 16, RATIO[16]], [15, 17, RATIO[17]]];

  const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);
  const mean = (points) => [0, 1].map(
    (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  const plus = (a, b, factor = 1) => [a[0] + factor * b[0], a[1] + factor * b[1]];
  const minus = (a, b) => plus(a, b, -1);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const centre = (points, joints) => {
    const [l, t, r, b] = K.box(points, joints);
    return [(l + r) / 2, (t + b) / 2];
  };
  const seenAll = (kp, joints) => joints.every((joint) => kp[joint][3]);

  // A person can be posed from it: something is drawn, and not all on one spot.
  const spread = (kp) => {
    const [l, t, r, b] = K.box(kp) ?? [0, 0, 0, 0];
    return Math.max(r - l, b - t);
  };
  const usable = (kp) => spread(kp) >= 1;
  function full(seen, usual) {
    if (usual <= 0) return seen;
    return seen + clamp((0.7 - seen / usual) / (0.7 - 0.5), 0, 1) * (usual - seen);
  }
  function seenLengths(kp) {
    const seen = {};
    for (const j of ORDER) {
      if (seenAll(kp, [j, S.PARENT[j]])) seen[j] = distance(kp[j], kp[S.PARENT[j]]);
    }
    if (seenAll(kp, HIPS)) {
      const [right, left] = HIPS.map((hip) => kp[hip]);
      seen[8] = seen[11] = distance(right, left) / 2;
      if (kp[NECK][3]) seen[NECK] = distance(kp[NECK], mean([right, left]));
    }
    return seen;
  }
  // {trunk, length[18]}: how long the bones are when none is foreshortened, in pixels.
  function measure(kp) {
    const single = seenLengths(kp);
    const heads = HEAD_SPANS.filter(([a, b]) => seenAll(kp, [a, b]))
      .map(([a, b, ratio]) => distance(kp[a], kp[b]) / ratio);
    const sizes = SCALE_BONES.filter((j) => j in single)
      .map((j) => single[j] / RATIO[j]).sort((a, b) => b - a);
    const scale = sizes[1] ?? sizes[0] ?? (heads.length ? Math.max(...heads) : spread(kp) / 3);
    const trunk = NECK in single ? full(single[NECK], scale) : scale;
    const length = RATIO.map((ratio, j) => {
      const pair = [j, S.MIRROR[j]].filter((i) => i in single).map((i) => single[i]);
      return pair.length ? full(Math.max(...pair), ratio * trunk) : ratio * trunk;
    });
    length[NECK] = trunk;
    const head = heads.length ? clamp(Math.max(...heads), 0.5 * trunk, 2 * trunk) : trunk;
    for (const j of HEAD) length[j] = RATIO[j] * head;
    return { trunk, length };
  }

  // 19 points: unknown joints where a standing person has them.
  function filled(kp, { trunk, length }) {
    const rest = REST.map(([x, y], j) => [x * length[j], y * length[j]]);
    const points = kp.map(([x, y]) => [x, y]);
    const known = kp.map(([x, y, , state]) => state > 0 || x !== 0 || y !== 0);
    const at = (joints) => joints.filter((j) => known[j]);
    const of = (joints) => mean(joints.map((j) => points[j]));
    const shoulders = at(SHOULDERS), hips = at(HIPS);
    if (!known[NECK]) {
      if (shoulders.length === 2) points[NECK] = of(shoulders);
      else if (shoulders.length) points[NECK] = minus(points[shoulders[0]], rest[shoulders[0]]);
      else if (known[NOSE]) points[NECK] = minus(points[NOSE], rest[NOSE]);
      else if (hips.length) points[NECK] = minus(of(hips), [0, trunk]);
      else points[NECK] = of(at(K.allJoints));
    }
    if (hips.length === 2) points[MID] = of(hips);
    else if (hips.length) points[MID] = minus(points[hips[0]], rest[hips[0]]);
    else points[MID] = plus(points[NECK], rest[NECK]);
    for (const j of [...HIPS, ...ORDER]) {
      if (!known[j]) points[j] = plus(points[HIPS.includes(j) ? MID : S.PARENT[j]], rest[j]);
    }
    return points;
  }
  // The same person with coordinates for its unknown joints, so that a click can bring them back.
  function complete(kp) {
    if (!K.drawn(kp).length) return K.clone(kp);
    const points = filled(kp, measure(kp));
    return kp.map(([, , score, state], j) => [...points[j], score, state]);
  }

  function rebuild(points, factor) {
    const out = [];
    const bone = (from, to, j) => { out[to] = plus(out[from], minus(points[to], points[from]), factor[j]); };
    out[NECK] = points[NECK];
    bone(NECK, MID, NECK);
    for (const j of HIPS) bone(MID, j, j);
    for (const j of ORDER) bone(S.PARENT[j], j, j);
    return out;
  }
  function place(points, kp, body, lift) {
    const of = (source, joints) => mean(joints.map((j) => source[j]));
    let shift;
    if (seenAll(body, HIPS)) shift = minus(of(body, HIPS), of(points, HIPS));
    else if (body[NECK][3]) shift = minus(body[NECK], points[NECK]);
    else shift = minus(centre(body), centre(points, K.drawn(kp)));
    if (seenAll(body, ANKLES) && seenAll(kp, ANKLES)) {
      const floor = (source) => Math.max(...ANKLES.map((j) => source[j][1]));
      shift[1] = floor(body) - floor(points) - lift;
    }
    return shift;
  }
  // `lengths` (18, in the pose's pixels) and `lift` (in trunks) come with presets; with the body's
  // photo `size`, joints outside it become hidden.
  function retarget(kp, body, { proportions = 0, lengths = null, lift = 0, size = null } = {}) {
    if (!usable(kp) || !usable(body)) return null;
    const theirs = lengths ? { trunk: lengths[NECK], length: lengths } : measure(kp);
    const own = measure(body), part = clamp(proportions, 0, 1);
    const scale = theirs.trunk > 0 ? own.trunk / theirs.trunk : 1;
    const factor = theirs.length.map((length, j) => Math.min(FAR,
      (1 - part) * (length > 0 ? own.length[j] / length : scale) + part * scale));
    const points = rebuild(filled(kp, theirs), factor);
    const shift = place(points, kp, body, lift * own.trunk);
    const out = kp.map(([, , score, state], j) => [...plus(points[j], shift), score, state]);
    return size ? hideOutside(out, size) : out;
  }
  const hideOutside = (kp, [w, h]) => kp.map(([x, y, score, state]) =>
    [x, y, score, x < 0 || y < 0 || x > w || y > h ? S.HIDDEN : state]);

  // One entry of reposedm.pose.presets_json(), on a canvas of 1000 pixels: what retarget() takes.
  function fromPreset(library, entry) {
    return {
      kp: entry.keypoints.map(([x, y, state]) => [x * UNIT, y * UNIT, state > 0 ? 1 : 0, state]),
      lengths: library.lengths.map((length) => length * UNIT),
      lift: entry.lift,
    };
  }

  return { RATIO, usable, measure, complete, retarget, hideOutside, fromPreset };
})(...(typeof PoseSkeleton === "undefined"
  ? [require("./skeleton.js"), require("./kinematics.js")] : [PoseSkeleton, PoseKinematics]));
if (typeof module !== "undefined") module.exports = PoseRetarget;
