// How joints move together. Every function returns new keypoints and leaves its arguments alone.
const PoseKinematics = ((S) => {
  const FOLLOW = "follow", ONE = "one", LENGTHS = "lengths";
  const NECK = 1, R_HIP = 8, L_HIP = 11;
  const TIPS = [4, 7, 10, 13], BENDS = [3, 6, 9, 12];
  const OUTSIDE = 0.2; // a limb that follows may leave the photo by this part of it: still in reach
  const allJoints = S.NAMES.map((_, joint) => joint);

  const clone = (kp) => kp.map((point) => point.slice());
  const length = (kp, a, b) => Math.hypot(kp[a][0] - kp[b][0], kp[a][1] - kp[b][1]);
  const lengths = (kp) => S.LIMBS.map(([a, b]) => length(kp, a, b));
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const middle = (kp, a, b) => [(kp[a][0] + kp[b][0]) / 2, (kp[a][1] + kp[b][1]) / 2];
  const hipCentre = (kp) => middle(kp, R_HIP, L_HIP);
  const drawn = (kp) => allJoints.filter((joint) => kp[joint][3] > S.HIDDEN);

  function box(kp, joints = drawn(kp)) {
    if (!joints.length) return null;
    const xs = joints.map((j) => kp[j][0]), ys = joints.map((j) => kp[j][1]);
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }
  const inside = (kp, [l, t, r, b]) => drawn(kp).filter((joint) => {
    const [x, y] = kp[joint];
    return x >= l && x <= r && y >= t && y <= b;
  });

  function nearest(kp, x, y, radius) {
    const pick = (wanted) => {
      let best = -1, least = radius;
      kp.forEach(([px, py, , state], joint) => {
        const far = Math.hypot(px - x, py - y);
        if (state > S.HIDDEN === wanted && far <= least) { best = joint; least = far; }
      });
      return best;
    };
    const found = pick(true);
    return found < 0 ? pick(false) : found; // a ghost never steals the click from a drawn joint
  }
  function nearestBone(kp, x, y, radius) {
    let best = -1, least = radius;
    S.LIMBS.forEach(([a, b], limb) => {
      if (!kp[a][3] || !kp[b][3]) return;
      const [ax, ay] = kp[a], dx = kp[b][0] - ax, dy = kp[b][1] - ay;
      const t = clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0, 1);
      const far = Math.hypot(ax + t * dx - x, ay + t * dy - y);
      if (far <= least) { best = limb; least = far; }
    });
    return best;
  }

  function shift(kp, joints, dx, dy) { // changes kp
    for (const joint of joints) { kp[joint][0] += dx; kp[joint][1] += dy; }
    return kp;
  }
  // The part of (dx, dy) after which no joint is further outside the photo than it may be.
  function allowed(kp, joints, dx, dy, size, margin) {
    if (!size) return [dx, dy];
    return [dx, dy].map((delta, axis) => {
      const room = size[axis] * margin;
      let low = -Infinity, high = Infinity;
      for (const joint of joints) {
        low = Math.max(low, Math.min(0, -room - kp[joint][axis]));
        high = Math.min(high, Math.max(0, size[axis] + room - kp[joint][axis]));
      }
      return clamp(delta, low, high);
    });
  }
  function move(kp, joints, dx, dy, size = null) {
    return shift(clone(kp), joints, ...allowed(kp, joints, dx, dy, size, OUTSIDE));
  }

  function rotate(kp, joints, [ox, oy], angle) { // changes kp
    const c = Math.cos(angle), s = Math.sin(angle);
    for (const joint of joints) {
      const dx = kp[joint][0] - ox, dy = kp[joint][1] - oy;
      kp[joint][0] = ox + c * dx - s * dy;
      kp[joint][1] = oy + s * dx + c * dy;
    }
    return kp;
  }
  // Which side of the line a-c the joint b lies on; 1 for a straight limb.
  const bend = (kp, a, b, c) => ((kp[b][0] - kp[a][0]) * (kp[c][1] - kp[a][1]) -
    (kp[b][1] - kp[a][1]) * (kp[c][0] - kp[a][0]) > 0 ? -1 : 1);

  // Two bones a-b-c of fixed lengths: c as near to (x, y) as they reach, b on the side it was.
  function reach(kp, a, b, c, x, y) { // changes kp
    const upper = length(kp, a, b), lower = length(kp, b, c), turn = bend(kp, a, b, c);
    const [ax, ay] = kp[a];
    // never quite straight or folded: the bend would be lost, and the elbow jump on the way back
    const spare = 1e-6 * (upper + lower);
    const far = clamp(
      Math.hypot(x - ax, y - ay), Math.abs(upper - lower) + spare, upper + lower - spare);
    const towards = x === ax && y === ay
      ? Math.atan2(kp[c][1] - ay, kp[c][0] - ax) : Math.atan2(y - ay, x - ax);
    const cosine = (upper * upper + far * far - lower * lower) / (2 * upper * far);
    const angle = towards + turn * Math.acos(clamp(Number.isFinite(cosine) ? cosine : 0, -1, 1));
    const bx = ax + upper * Math.cos(angle), by = ay + upper * Math.sin(angle);
    // c is laid off from b, so that rounding in the angle can never change a length
    const goal = Math.atan2(ay + far * Math.sin(towards) - by, ax + far * Math.cos(towards) - bx);
    kp[b][0] = bx; kp[b][1] = by;
    kp[c][0] = bx + lower * Math.cos(goal); kp[c][1] = by + lower * Math.sin(goal);
    return kp;
  }
  function pull(kp, joint, x, y) { // the drag that keeps all bone lengths
    const out = clone(kp), parent = S.PARENT[joint];
    if (TIPS.includes(joint)) return reach(out, S.PARENT[parent], parent, joint, x, y);
    const [px, py] = kp[parent];
    const angle = Math.atan2(y - py, x - px) - Math.atan2(kp[joint][1] - py, kp[joint][0] - px);
    return rotate(out, S.subtree(joint), kp[parent], angle);
  }

  // The mirror across the trunk: a function (x, y) -> [x, y]. Upright when the trunk has no length.
  function trunkMirror(kp) {
    const [nx, ny] = kp[NECK], [hx, hy] = hipCentre(kp);
    let dx = hx - nx, dy = hy - ny;
    const far = Math.hypot(dx, dy);
    if (far < 1e-6) { dx = 0; dy = 1; } else { dx /= far; dy /= far; }
    return (x, y) => {
      const along = (x - nx) * dx + (y - ny) * dy;
      return [2 * (nx + along * dx) - x, 2 * (ny + along * dy) - y];
    };
  }
  // The other side of the moved joints takes their mirrored place or, keeping lengths, directions.
  function copyAcross(out, before, joints, mode) { // changes out
    const over = trunkMirror(before), [ox, oy] = over(0, 0);
    for (const joint of S.ORDER) {
      const other = S.MIRROR[joint];
      if (!joints.includes(joint) || other === joint || joints.includes(other)) continue;
      if (mode !== LENGTHS) { [out[other][0], out[other][1]] = over(...out[joint]); continue; }
      const from = S.PARENT[joint], anchor = S.PARENT[other];
      const [dx, dy] = over(out[joint][0] - out[from][0], out[joint][1] - out[from][1]);
      const angle = Math.atan2(dy - oy, dx - ox), bone = length(before, other, anchor);
      out[other][0] = out[anchor][0] + bone * Math.cos(angle);
      out[other][1] = out[anchor][1] + bone * Math.sin(angle);
    }
    return out;
  }
  const further = (out, before, joints, size) => joints.some((joint) => [0, 1].some((axis) => {
    const room = size[axis] * OUTSIDE, now = out[joint][axis], then = before[joint][axis];
    return now < Math.min(-room, then) - 1e-9 || now > Math.max(size[axis] + room, then) + 1e-9;
  }));

  // Which joints a drag of this joint carries along.
  function carried(joint, mode) {
    if (mode === ONE) return [joint];
    if (mode === LENGTHS && TIPS.includes(joint)) return [S.PARENT[joint], joint];
    return S.subtree(joint);
  }
  function drag(kp, joint, x, y, { mode = FOLLOW, symmetric = false, size = null } = {}) {
    const joints = carried(joint, mode), [fromX, fromY] = kp[joint];
    if (size) {
      x = clamp(x, Math.min(0, fromX), Math.max(size[0], fromX));
      y = clamp(y, Math.min(0, fromY), Math.max(size[1], fromY));
    }
    const at = (toX, toY) => {
      const out = mode === LENGTHS && joint !== NECK
        ? pull(kp, joint, toX, toY)
        : shift(clone(kp), joints, ...allowed(
          kp, joints, toX - fromX, toY - fromY, joints.length > 1 ? size : null, OUTSIDE));
      return symmetric && joint !== NECK ? copyAcross(out, kp, joints, mode) : out;
    };
    const whole = at(x, y);
    const touched = symmetric ? [...joints, ...joints.map((j) => S.MIRROR[j])] : joints;
    if (!size || !further(whole, kp, touched, size)) return whole;
    // Turning limbs reach their limit somewhere on the way: find it by halving.
    let best = clone(kp), low = 0, high = 1;
    for (let i = 0; i < 12; i++) {
      const t = (low + high) / 2, out = at(fromX + t * (x - fromX), fromY + t * (y - fromY));
      if (further(out, kp, touched, size)) high = t;
      else { low = t; best = out; }
    }
    return best;
  }
  function dragHips(kp, x, y, { size = null } = {}) {
    const [hx, hy] = hipCentre(kp);
    if (size) {
      x = clamp(x, Math.min(0, hx), Math.max(size[0], hx));
      y = clamp(y, Math.min(0, hy), Math.max(size[1], hy));
    }
    return move(kp, allJoints, x - hx, y - hy, size);
  }
  function dragBone(kp, limb, dx, dy, { mode = FOLLOW, symmetric = false, size = null } = {}) {
    const [a, b] = S.LIMBS[limb];
    if (a === NECK && mode !== ONE) return move(kp, allJoints, dx, dy, size);
    if (mode === LENGTHS) { // the upper end turns about its parent, the rest keeps its direction
      const [x, y] = kp[a], turned = drag(kp, a, x + dx, y + dy, { mode, size });
      const below = S.subtree(a).slice(1);
      const out = shift(clone(kp), below, turned[a][0] - x, turned[a][1] - y);
      out[a] = turned[a];
      return symmetric ? copyAcross(out, kp, [a, ...below], mode) : out;
    }
    const joints = mode === ONE ? [a, b] : S.subtree(a);
    const out = move(kp, joints, dx, dy, size);
    return symmetric ? copyAcross(out, kp, joints, mode) : out;
  }

  function transform(kp, joints, [cx, cy], {
    scale = 1, angle = 0, dx = 0, dy = 0, size = null,
  } = {}) {
    const [sx, sy] = Array.isArray(scale) ? scale : [scale, scale];
    const out = clone(kp);
    for (const joint of joints) {
      out[joint][0] = cx + (kp[joint][0] - cx) * sx;
      out[joint][1] = cy + (kp[joint][1] - cy) * sy;
    }
    shift(rotate(out, joints, [cx, cy], angle), joints, dx, dy);
    if (size) {
      for (const joint of joints) {
        for (const axis of [0, 1]) {
          const room = size[axis] * OUTSIDE, then = kp[joint][axis];
          out[joint][axis] = clamp(
            out[joint][axis], Math.min(-room, then), Math.max(size[axis] + room, then));
        }
      }
    }
    return out;
  }
  function flip(kp, joint) {
    const out = clone(kp);
    if (!BENDS.includes(joint)) return out;
    const [ax, ay] = kp[S.PARENT[joint]], [cx, cy] = kp[S.CHILDREN[joint][0]];
    const dx = cx - ax, dy = cy - ay, square = dx * dx + dy * dy;
    if (square < 1e-12) return out;
    const along = ((kp[joint][0] - ax) * dx + (kp[joint][1] - ay) * dy) / square;
    out[joint][0] = 2 * (ax + along * dx) - kp[joint][0];
    out[joint][1] = 2 * (ay + along * dy) - kp[joint][1];
    return out;
  }

  return {
    FOLLOW, ONE, LENGTHS, allJoints, clone, length, lengths, hipCentre, drawn, box, inside, nearest,
    nearestBone, move, drag, dragHips, dragBone, transform, flip,
  };
})(typeof PoseSkeleton === "undefined" ? require("./skeleton.js") : PoseSkeleton);
if (typeof module !== "undefined") module.exports = PoseKinematics;
