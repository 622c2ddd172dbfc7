// One-click changes of a whole pose; like all of the core they return new keypoints.
const PoseActions = ((S, K) => {
  const FACE = [0, 14, 15], LEGS = [9, 10, 12, 13], ARMS = [3, 4, 6, 7];
  const R_SHOULDER = 2, L_SHOULDER = 5, R_HIP = 8, L_HIP = 11, NECK = 1;

  function setState(kp, joints, state) {
    const out = K.clone(kp);
    for (const joint of joints) out[joint][3] = state;
    return out;
  }
  const cycle = (kp, joint) => setState(kp, [joint], (kp[joint][3] + 2) % 3);

  const swapSides = (kp) => S.MIRROR.map((from) => kp[from].slice());

  // About an upright line through the trunk, so that the body stays where it is: about the box of
  // all joints, one stretched arm would push the body aside.
  function mirror(kp) {
    const axis = kp[NECK][0] + K.hipCentre(kp)[0];
    return swapSides(kp).map(([x, ...rest]) => [axis - x, ...rest]);
  }

  // A person seen from behind has the right shoulder on the right of the picture.
  function isBack(kp) {
    const faceHidden = FACE.filter((joint) => !kp[joint][3]).length;
    if (faceHidden === FACE.length) return true;
    return faceHidden > 0 && kp[R_SHOULDER][0] > kp[L_SHOULDER][0];
  }
  function inTrunk(kp, joint) {
    const corners = [R_SHOULDER, L_SHOULDER, L_HIP, R_HIP].map((corner) => kp[corner]);
    const turns = corners.map(([ax, ay], i) => {
      const [bx, by] = corners[(i + 1) % 4];
      return (bx - ax) * (kp[joint][1] - ay) - (by - ay) * (kp[joint][0] - ax) > 0;
    });
    return turns[0] === turns[1] && turns[1] === turns[2] && turns[2] === turns[3];
  }
  // The outline stays as it is on the picture and left and right change places; the face goes out
  // of sight (or comes back); a hand before the trunk is now behind it and the other way round.
  function turn(kp) {
    const toBack = !isBack(kp), out = swapSides(kp);
    for (const joint of FACE) out[joint][3] = toBack ? S.HIDDEN : S.VISIBLE;
    for (const joint of ARMS) {
      if (out[joint][3] && inTrunk(out, joint)) out[joint][3] = S.BEHIND + S.VISIBLE - out[joint][3];
    }
    return out;
  }

  // The twin of reposedm/pose/facing.py: a preset that faces the camera, on a person whom the photo
  // shows from behind, is struck from behind. From right to left shoulder, in trunks.
  const AWAY = -0.1, FRONT = 0.4;
  function breadth(kp) {
    if (![NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP].every((joint) => kp[joint][3])) return null;
    const [x, y] = K.hipCentre(kp), trunk = Math.hypot(x - kp[NECK][0], y - kp[NECK][1]);
    return trunk > 0 ? (kp[L_SHOULDER][0] - kp[R_SHOULDER][0]) / trunk : null;
  }
  function turnedAway(kp) {
    const width = breadth(kp);
    return width !== null && width < AWAY && FACE.some((joint) => !kp[joint][3]);
  }
  function withSideOf(kp, body) {
    const width = breadth(kp);
    return width !== null && width >= FRONT && !isBack(kp) && turnedAway(body) ? turn(kp) : kp;
  }

  const legsHidden = (kp) => !LEGS.some((joint) => kp[joint][3]);
  const hideLegs = (kp) => setState(kp, LEGS, legsHidden(kp) ? S.VISIBLE : S.HIDDEN);

  function resetJoint(kp, sourceKp, joint) {
    const out = K.clone(kp);
    out[joint] = sourceKp[joint].slice();
    return out;
  }
  const resetAll = (sourceKp) => K.clone(sourceKp);

  // Scaled and centred so that the drawn joints fill the frame less a margin; hidden ones go along.
  function fit(kp, size, margin = 0.06) {
    const box = K.box(kp);
    if (!box) return K.clone(kp);
    const [l, t, r, b] = box, [w, h] = size.map((side) => side * (1 - 2 * margin));
    const scale = Math.min(w / Math.max(r - l, 1), h / Math.max(b - t, 1));
    return kp.map(([x, y, ...rest]) => [
      size[0] / 2 + (x - (l + r) / 2) * scale, size[1] / 2 + (y - (t + b) / 2) * scale, ...rest,
    ]);
  }

  // In body heights from the nose's top; the right half, the left one is its mirror.
  const STANDING = [
    [0, 0.05], [0, 0.16], [-0.1, 0.16], [-0.13, 0.32], [-0.14, 0.47], null, null, null,
    [-0.06, 0.48], [-0.065, 0.71], [-0.07, 0.95], null, null, null,
    [-0.018, 0.035], null, [-0.04, 0.045], null,
  ];
  const standing = (size) => fit(STANDING.map((point, joint) => {
    const [x, y] = point ?? STANDING[S.MIRROR[joint]];
    return [point ? x : -x, y, 1, S.VISIBLE];
  }).map(([x, y, ...rest]) => [x * 1000, y * 1000, ...rest]), size, 0.1);

  return {
    setState, cycle, swapSides, mirror, isBack, turn, turnedAway, withSideOf, legsHidden, hideLegs, resetJoint, resetAll,
    fit, standing,
  };
})(...(typeof PoseSkeleton === "undefined"
  ? [require("./skeleton.js"), require("./kinematics.js")] : [PoseSkeleton, PoseKinematics]));
if (typeof module !== "undefined") module.exports = PoseActions;
