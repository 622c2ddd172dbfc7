// The tables of reposedm/pose/skeleton.py for the page; a test compares the two.
// Right and left are the person's own.
const PoseSkeleton = (() => {
  const NAMES = [
    "nose", "neck",
    "right shoulder", "right elbow", "right wrist",
    "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle",
    "left hip", "left knee", "left ankle",
    "right eye", "left eye", "right ear", "left ear",
  ];
  const LIMBS = [
    [1, 2], [1, 5], [2, 3], [3, 4], [5, 6], [6, 7],
    [1, 8], [8, 9], [9, 10], [1, 11], [11, 12], [12, 13],
    [1, 0], [0, 14], [14, 16], [0, 15], [15, 17],
  ];
  const PARENT = [1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15];
  const MIRROR = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16];
  const COLORS = [
    [255, 0, 0], [255, 85, 0], [255, 170, 0], [255, 255, 0], [170, 255, 0], [85, 255, 0],
    [0, 255, 0], [0, 255, 85], [0, 255, 170], [0, 255, 255], [0, 170, 255], [0, 85, 255],
    [0, 0, 255], [85, 0, 255], [170, 0, 255], [255, 0, 255], [255, 0, 170], [255, 0, 85],
  ];
  const HIDDEN = 0, BEHIND = 1, VISIBLE = 2, N = 18;
  const STATES = ["hidden", "behind", "in view"];
  const CHILDREN = PARENT.map((_, i) => PARENT.flatMap((p, j) => (p === i ? [j] : [])));

  function subtree(joint) {
    const found = [joint];
    for (let i = 0; i < found.length; i++) found.push(...CHILDREN[found[i]]);
    return found;
  }
  const ORDER = subtree(1); // the whole body, parents before their children

  const side = (joint) => ({ r: "R", l: "L" })[NAMES[joint].match(/^(r|l)\w+ /)?.[1]] ?? "";
  const describe = (kp, joint) => {
    const [x, y, , state] = kp[joint];
    return `${NAMES[joint]}, x ${Math.round(x)}, y ${Math.round(y)}, ${STATES[state]}`;
  };
  const cssColor = (joint) => `rgb(${COLORS[joint].join(", ")})`;

  return {
    NAMES, LIMBS, PARENT, MIRROR, COLORS, CHILDREN, STATES, ORDER, N, HIDDEN, BEHIND, VISIBLE,
    subtree, side, describe, cssColor,
  };
})();
if (typeof module !== "undefined") module.exports = PoseSkeleton;
