const test = require("node:test");
const assert = require("node:assert/strict");
const { load, random, SIZE, standing, wild, near } = require("./poses.js");
const S = load("skeleton"), K = load("kinematics");
const { FOLLOW, ONE, LENGTHS } = K;

const moved = (before, after) => S.NAMES.map((_, j) => j)
  .filter((j) => before[j][0] !== after[j][0] || before[j][1] !== after[j][1]);
const sorted = (joints) => [...joints].sort((a, b) => a - b);

test("each mode moves the joints it promises and no others", () => {
  const kp = wild(1);
  for (let j = 0; j < 18; j++) {
    const to = [kp[j][0] + 7, kp[j][1] - 5];
    assert.deepEqual(moved(kp, K.drag(kp, j, ...to, { mode: ONE })), [j]);
    assert.deepEqual(moved(kp, K.drag(kp, j, ...to, { mode: FOLLOW })), sorted(S.subtree(j)));
    const whole = [4, 7, 10, 13].includes(j) ? [S.PARENT[j], j] : S.subtree(j);
    assert.deepEqual(moved(kp, K.drag(kp, j, ...to, { mode: LENGTHS })), sorted(whole));
    assert.deepEqual(K.drag(kp, j, ...to, { mode: ONE })[j].slice(0, 2), to);
  }
});

test("a drag leaves its argument, the scores and the states alone", () => {
  const kp = wild(2), copy = structuredClone(kp);
  for (const mode of [FOLLOW, ONE, LENGTHS]) {
    const out = K.drag(kp, 7, 10, 10, { mode, symmetric: true, size: SIZE });
    assert.deepEqual(kp, copy);
    assert.deepEqual(out.map((p) => p.slice(2)), kp.map((p) => p.slice(2)));
  }
});

test("keep bone lengths: all 17 lengths stay, over a thousand drags anywhere", () => {
  const next = random(3);
  for (let round = 0; round < 20; round++) {
    const start = wild(100 + round), wanted = K.lengths(start);
    let kp = start;
    for (let step = 0; step < 50; step++) {
      const j = Math.floor(next() * 18), symmetric = next() < 0.3;
      const size = next() < 0.5 ? SIZE : null;
      const to = [next() * 1000 - 200, next() * 1200 - 200];
      kp = K.drag(kp, j, ...to, { mode: LENGTHS, symmetric, size });
      kp = K.dragBone(kp, Math.floor(next() * 17), next() * 9, next() * 9, { mode: LENGTHS, size });
    }
    K.lengths(kp).forEach((length, limb) => near(assert, length, wanted[limb], 1e-9, `limb ${limb}`));
  }
});

test("two-bone reach: the wrist is at the pointer when it can be, the elbow keeps its side", () => {
  const kp = standing(), at = [kp[2][0] - 60, kp[2][1] + 90];
  const side = (p) => Math.sign((p[3][0] - p[2][0]) * (p[4][1] - p[2][1]) -
    (p[3][1] - p[2][1]) * (p[4][0] - p[2][0]));
  const out = K.drag(kp, 4, ...at, { mode: LENGTHS });
  near(assert, out[4][0], at[0]);
  near(assert, out[4][1], at[1]);
  assert.equal(side(out), side(kp));
  const far = K.drag(kp, 4, kp[2][0], kp[2][1] - 5000, { mode: LENGTHS }); // straight up, stretched
  near(assert, far[4][0], kp[2][0], 1e-3);
  near(assert, far[4][1], kp[2][1] - K.length(kp, 2, 3) - K.length(kp, 3, 4), 1e-3);
  for (let round = 0; round < 40; round++) { // stretched, folded and back: no jump of the elbow
    const angle = round / 3, reach = (by) => [
      kp[2][0] + by * Math.cos(angle), kp[2][1] + by * Math.sin(angle)];
    let arm = kp;
    for (const by of [900, 0.01, 80, 5000, 60]) {
      arm = K.drag(arm, 4, ...reach(by), { mode: LENGTHS });
      assert.equal(side(arm), side(kp), `${round}, ${by}`);
    }
  }
});

test("C-26: bones of no length and a pointer on the shoulder give numbers", () => {
  const spot = standing().map(([, , s, v]) => [50, 50, s, v]);
  for (const mode of [FOLLOW, ONE, LENGTHS]) {
    for (let j = 0; j < 18; j++) {
      for (const to of [[50, 50], [80, 20]]) {
        const out = K.drag(spot, j, ...to, { mode, symmetric: true, size: SIZE });
        assert.ok(out.flat().every(Number.isFinite), `${mode} ${j}`);
      }
    }
  }
  const kp = standing();
  assert.ok(K.drag(kp, 4, ...kp[2].slice(0, 2), { mode: LENGTHS }).flat().every(Number.isFinite));
});

test("flip: the elbow changes sides, lengths stay, twice is nothing", () => {
  const kp = wild(4), out = K.flip(kp, 3);
  assert.deepEqual(moved(kp, out), [3]);
  K.lengths(out).forEach((length, limb) => near(assert, length, K.lengths(kp)[limb]));
  K.flip(out, 3).forEach((p, j) => near(assert, Math.hypot(p[0] - kp[j][0], p[1] - kp[j][1]), 0));
  assert.deepEqual(K.flip(kp, 4), kp);
});

test("neck and hip handles move the whole person", () => {
  const kp = wild(5);
  const byNeck = K.drag(kp, 1, kp[1][0] + 12, kp[1][1] + 3, { mode: LENGTHS });
  const [hx, hy] = K.hipCentre(kp);
  const byHips = K.dragHips(kp, hx + 12, hy + 3);
  for (const out of [byNeck, byHips]) {
    out.forEach((p, j) => {
      near(assert, p[0] - kp[j][0], 12);
      near(assert, p[1] - kp[j][1], 3);
    });
  }
});

test("dragging a bone moves both of its ends by the same", () => {
  const kp = wild(6);
  const out = K.dragBone(kp, 5, 8, -4, { mode: ONE }); // left elbow to left wrist
  assert.deepEqual(moved(kp, out), [6, 7]);
  for (const j of [6, 7]) assert.deepEqual(out[j].slice(0, 2), [kp[j][0] + 8, kp[j][1] - 4]);
  assert.deepEqual(moved(kp, K.dragBone(kp, 7, 8, -4)), [8, 9, 10].slice(0)); // hip to knee: the leg
  assert.equal(moved(kp, K.dragBone(kp, 0, 8, -4)).length, 18); // at the neck: the person
});

test("symmetric edit puts the other side at the mirrored place", () => {
  const kp = standing(), axis = kp[1][0];
  const out = K.drag(kp, 4, kp[4][0] - 40, kp[4][1] - 70, { mode: ONE, symmetric: true });
  near(assert, out[7][0] - axis, axis - out[4][0]);
  near(assert, out[7][1], out[4][1]);
  const kept = K.drag(kp, 4, kp[4][0] - 40, kp[4][1] - 70, { mode: LENGTHS, symmetric: true });
  for (const [right, left] of [[3, 6], [4, 7]]) {
    near(assert, kept[left][0] - axis, axis - kept[right][0], 1e-6);
    near(assert, kept[left][1], kept[right][1], 1e-6);
  }
});

test("C-29: the dragged joint stops at the edge, what follows at most a fifth outside", () => {
  const next = random(7);
  for (let i = 0; i < 300; i++) {
    const kp = standing(), j = Math.floor(next() * 18);
    const mode = [FOLLOW, ONE, LENGTHS][i % 3];
    const out = K.drag(kp, j, next() * 4000 - 2000, next() * 4000 - 2000, { mode, size: SIZE });
    SIZE.forEach((side, axis) => {
      if (mode !== LENGTHS) assert.ok(out[j][axis] >= 0 && out[j][axis] <= side);
      for (const p of out) {
        assert.ok(p[axis] >= -0.2 * side - 1e-6 && p[axis] <= 1.2 * side + 1e-6);
      }
    });
  }
  const corner = K.drag(standing(), 4, -900, -900, { mode: ONE, size: SIZE });
  assert.deepEqual(corner[4].slice(0, 2), [0, 0]);
});

test("C-29: a person that starts outside the photo can be dragged back in", () => {
  const out = standing().map(([x, ...rest]) => [x - 5000, ...rest]);
  const back = K.drag(out, 1, 300, 200, { size: SIZE });
  assert.deepEqual(back[1].slice(0, 2), [300, 200]);
  const foot = standing();
  foot[10] = [-50, 300, 1, 2]; // moved down only: no jump to the edge
  assert.deepEqual(K.drag(foot, 10, -50, 310, { mode: ONE, size: SIZE })[10].slice(0, 2), [-50, 310]);
});

test("box selection: what is inside, scaled and turned about a centre", () => {
  const kp = standing();
  const arm = K.inside(kp, K.box(kp, [2, 3, 4]).map((v, i) => v + (i < 2 ? -1 : 1)));
  assert.ok([2, 3, 4].every((j) => arm.includes(j)) && !arm.includes(7));
  const c = kp[2].slice(0, 2);
  const turned = K.transform(kp, [3, 4], c, { angle: Math.PI / 2, scale: 2 });
  near(assert, turned[4][0] - c[0], -2 * (kp[4][1] - c[1]), 1e-9);
  near(assert, turned[4][1] - c[1], 2 * (kp[4][0] - c[0]), 1e-9);
  assert.deepEqual(moved(kp, turned), [3, 4]);
  const wide = K.transform(kp, [3, 4], c, { scale: [3, 1], dx: 1 });
  near(assert, wide[4][0] - c[0] - 1, 3 * (kp[4][0] - c[0]));
  near(assert, wide[4][1], kp[4][1]);
});

test("nearest joint: drawn ones before ghosts, nothing beyond the radius", () => {
  const kp = standing();
  kp[4] = [100, 100, 1, 0];
  kp[7] = [104, 100, 1, 2];
  assert.equal(K.nearest(kp, 100, 100, 10), 7);
  assert.equal(K.nearest(kp, 100, 100, 2), 4);
  assert.equal(K.nearest(kp, 5000, 100, 10), -1);
  const [ax, ay] = kp[8], [bx, by] = kp[9];
  assert.deepEqual(S.LIMBS[K.nearestBone(kp, (ax + bx) / 2 + 2, (ay + by) / 2, 5)], [8, 9]);
  assert.equal(K.nearestBone(kp, 5000, 5000, 5), -1);
});
