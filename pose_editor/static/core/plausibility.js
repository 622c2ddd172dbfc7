// What looks wrong in a pose, in words, and how to put it right. It advises; nothing is blocked.
const PosePlausibility = ((S, K, A, R) => {
  const LIMIT = 1.15; // a bone longer than this times the person's own is not foreshortening
  const LOOSE = 1.4; // without a detected person only the average body is known
  const UNEVEN = 1.6, POINTING = 3; // beyond that a limb clearly points at the camera
  const NOSE = 0, NECK = 1, NEEDED = [1, 2, 5, 8, 11], FACE = [0, 14, 15], EYES = [14, 15];
  const EARS = [16, 17], SHOULDERS = [2, 5], HIPS = [8, 11], BODY_LIMBS = 13;
  const PARTS = {
    0: "neck to nose", 2: "shoulder", 3: "upper arm", 4: "forearm", 8: "side of the trunk",
    9: "thigh", 10: "shin", 14: "nose to eye", 16: "eye to ear",
  };
  const child = (limb) => S.LIMBS[limb][1];
  const LIMB_OF = Object.fromEntries(S.LIMBS.map(([, joint], limb) => [joint, limb]));
  const part = (joint) => {
    const right = Math.min(joint, S.MIRROR[joint]), side = { R: "right ", L: "left " }[S.side(joint)];
    return (side ?? "") + PARTS[right];
  };
  const drawn = (kp, joints) => joints.every((joint) => kp[joint][3] > S.HIDDEN);
  const seen = (kp) => S.LIMBS.map(([a, b]) => (drawn(kp, [a, b]) ? K.length(kp, a, b) : 0));
  const list = (joints) => joints.map((joint) => S.NAMES[joint]).join(", ");

  // Unforeshortened length of each limb, left as right; for no person: of a trunk of length 1.
  function referenceLengths(source) {
    const usable = source && R.usable(source);
    const { trunk, length } = usable ? R.measure(source) : { trunk: 1, length: R.RATIO };
    const visible = usable ? seen(source) : [];
    return S.LIMBS.map(([, joint], limb) => {
      const whole = HIPS.includes(joint) ? Math.hypot(trunk, length[joint]) : length[joint];
      return Math.max(whole, visible[limb] ?? 0, visible[LIMB_OF[S.MIRROR[joint]]] ?? 0);
    });
  }
  // The person's size against the reference: low enough in the order that some stretched bones do
  // not matter, high enough that foreshortened ones do not either. Shortening a stretched bone to
  // this size leaves it as it is, so one pass of fix() is enough for its own check.
  function scaleOf(lengths, reference) {
    const ratios = lengths.slice(0, BODY_LIMBS).map((length, limb) => length / reference[limb])
      .filter((ratio) => ratio > 0 && Number.isFinite(ratio)).sort((a, b) => a - b);
    return ratios.length ? ratios[Math.floor(0.8 * (ratios.length - 1))] : 0;
  }
  // Per limb {length, target, limit}: target is the longest that needs no explanation.
  function measured(kp, source) {
    const reference = referenceLengths(source), lengths = seen(kp);
    const own = source ? seen(source) : [], known = source && R.usable(source);
    const scale = scaleOf(lengths, reference), before = known ? scaleOf(own, reference) : 0;
    const tolerance = known ? LIMIT : LOOSE;
    return lengths.map((length, limb) => {
      // what the detector saw is right by definition, at the size the person has now
      const target = Math.max(scale * reference[limb], before ? (own[limb] * scale) / before : 0);
      // the face is a few pixels wide: a pixel beside it must not count
      const slack = limb < BODY_LIMBS ? 0 : 0.03 * scale * reference[LIMB_OF[HIPS[0]]];
      return { length, target, limit: target * tolerance + slack };
    });
  }
  const isLong = ({ length, limit }) => limit > 0 && length > limit * (1 + 1e-9);
  function tooLong(kp, { source = null } = {}) {
    return new Set(measured(kp, source).flatMap((bone, limb) => (isLong(bone) ? [limb] : [])));
  }

  // 1: the person's right side is on the right of the axis (seen from behind), -1: on its left
  // (facing us), 0: in profile or unknown. `from`-`to` points down the body, so tilting is fine.
  function order(kp, [right, left], from, to, tolerance) {
    if (!drawn(kp, [right, left])) return 0;
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const far = Math.hypot(dx, dy);
    if (far < 1e-6) [dx, dy] = [0, 1];
    else { dx /= far; dy /= far; }
    const across = (kp[right][0] - kp[left][0]) * dy - (kp[right][1] - kp[left][1]) * dx;
    return Math.abs(across) <= tolerance ? 0 : Math.sign(across);
  }
  function facing(kp) {
    const trunk = Math.hypot(...[0, 1].map((axis) => K.hipCentre(kp)[axis] - kp[NECK][axis]));
    const hips = drawn(kp, HIPS) ? K.hipCentre(kp) : [kp[NECK][0], kp[NECK][1] + 1];
    const chin = drawn(kp, [NOSE, NECK]) ? [kp[NOSE], kp[NECK]] : [[0, 0], [0, 1]];
    const shoulders = order(kp, SHOULDERS, kp[NECK], hips, 0.12 * trunk);
    return {
      body: shoulders || order(kp, HIPS, kp[NECK], hips, 0.08 * trunk),
      eyes: order(kp, EYES, ...chin, 0.02 * trunk),
      ears: order(kp, EARS, ...chin, 0.02 * trunk),
    };
  }
  // What is crossed: {joints, text, repair}, or null.
  function crossed(kp) {
    const { body, eyes, ears } = facing(kp);
    const exchange = (out, [a, b]) => { [out[a], out[b]] = [out[b], out[a]]; };
    if (body > 0 && drawn(kp, FACE) && eyes < 0) {
      return {
        joints: FACE,
        text: "The shoulders are seen from behind but the face looks at the camera: " +
          "hide the face, or swap left and right.",
        repair: (out) => { for (const joint of FACE) out[joint][3] = S.HIDDEN; },
      };
    }
    const wanted = body || eyes;
    const wrong = [[EYES, eyes], [EARS, ears]]
      .filter(([, way]) => way && wanted && way !== wanted).map(([pair]) => pair);
    if (!wrong.length) return null;
    return {
      joints: wrong.flat(),
      text: `Left and right are crossed: ${list(wrong.flat())}.`,
      repair: (out) => wrong.forEach((pair) => exchange(out, pair)),
    };
  }

  const outside = (kp, [w, h]) => K.drawn(kp).filter((joint) => {
    const [x, y] = kp[joint];
    return x < 0 || y < 0 || x > w || y > h;
  });

  const LEVELS = ["error", "warning", "info"];
  function check(kp, { source = null, size = null } = {}) {
    const found = [];
    const add = (id, level, joints, text, fixable = false) =>
      found.push({ id, level, joints, text, fixable });
    if (!K.drawn(kp).length) {
      add("missing", "error", [], "All joints are hidden: show at least the shoulders and hips.");
      return found;
    }
    if (!R.usable(kp)) {
      add("spot", "error", K.drawn(kp), "All joints lie on one spot: choose a preset or reset.");
      return found;
    }
    const missing = NEEDED.filter((joint) => !kp[joint][3]);
    if (missing.length) {
      add("missing", "warning", missing, `Hidden, but the result needs them: ${list(missing)}.`);
    }
    const bones = measured(kp, source);
    bones.forEach((bone, limb) => {
      if (!isLong(bone)) return;
      const percent = Math.round((100 * bone.length) / bone.target);
      add(`long-${child(limb)}`, source ? "error" : "warning", S.LIMBS[limb].slice(),
        `${part(child(limb))}: ${percent} % of ${source ? "this person's" : "the usual"} length.`,
        true);
    });
    for (const joint of [3, 4, 9, 10]) { // shoulders are uneven in any view from the side
      const other = S.MIRROR[joint];
      const pair = [bones[LIMB_OF[joint]], bones[LIMB_OF[other]]].map((bone) => bone.length);
      const ratio = Math.max(...pair) / Math.min(...pair);
      if (!(ratio > UNEVEN && ratio < POINTING)) continue;
      const longer = pair[0] > pair[1] ? joint : other;
      add(`asymmetry-${joint}`, "info", [joint, other],
        `${part(longer)} is ${ratio.toFixed(1)} times as long as the other one: ` +
        "right only if that one points towards the camera or away from it.");
    }
    const off = size ? outside(kp, size) : [];
    if (off.length) add("outside", "warning", off, `Outside the photo: ${list(off)}.`, true);
    const cross = crossed(kp);
    if (cross) add("crossed", "warning", cross.joints, cross.text, true);
    return found.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
  }

  function shorten(kp, source) {
    const out = K.clone(kp), bones = measured(kp, source);
    for (const joint of S.ORDER) {
      const bone = bones[LIMB_OF[joint]];
      if (!bone || !isLong(bone)) continue;
      const parent = out[S.PARENT[joint]], by = 1 - bone.target / bone.length;
      const dx = (parent[0] - out[joint][0]) * by, dy = (parent[1] - out[joint][1]) * by;
      for (const moved of S.subtree(joint)) { out[moved][0] += dx; out[moved][1] += dy; }
    }
    return out;
  }
  // The whole person comes back if that is a small step or the trunk is out; what still sticks out
  // is hidden, as it is in the result.
  function bringIn(kp, size) {
    const off = outside(kp, size);
    if (!off.length) return kp;
    const [l, t, r, b] = K.box(kp), [w, h] = size, fits = r - l <= w && b - t <= h;
    const trunkOut = off.some((joint) => NEEDED.includes(joint));
    const dx = Math.max(0, -l) - Math.max(0, r - w), dy = Math.max(0, -t) - Math.max(0, b - h);
    const small = Math.abs(dx) <= 0.1 * w && Math.abs(dy) <= 0.1 * h;
    if (fits && (trunkOut || small)) return K.move(kp, K.allJoints, dx, dy);
    return A.setState(trunkOut ? A.fit(kp, size, 0.02) : kp, trunkOut ? [] : off, S.HIDDEN);
  }
  function fix(kp, { source = null, size = null } = {}) {
    let out = K.clone(kp);
    // Hiding and exchanging joints can change what the lengths are measured by: look again.
    for (let i = 0; i < 6; i++) {
      crossed(out)?.repair(out);
      out = shorten(out, source);
      if (size) out = bringIn(out, size);
      if (!check(out, { source, size }).some((finding) => finding.fixable)) break;
    }
    return out;
  }

  return { check, fix, tooLong, referenceLengths };
})(...(typeof PoseSkeleton === "undefined"
  ? ["skeleton", "kinematics", "actions", "retarget"].map((name) => require(`./${name}.js`))
  : [PoseSkeleton, PoseKinematics, PoseActions, PoseRetarget]));
if (typeof module !== "undefined") module.exports = PosePlausibility;
