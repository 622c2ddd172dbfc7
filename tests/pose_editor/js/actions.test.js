const test = require("node:test");
const assert = require("node:assert/strict");
const { load, random, SIZE, standing, wild, anywhere, near } = require("./poses.js");
const S = load("skeleton"), K = load("kinematics"), A = load("actions"), P = load("plausibility");

const equal = (a, b, tolerance = 1e-9) => a.forEach((p, j) => p.forEach(
  (value, i) => near(assert, value, b[j][i], tolerance, `${S.NAMES[j]} ${i}`)));

test("cycle: in view, behind, hidden, in view; coordinates stay", () => {
  let kp = standing();
  const states = [];
  for (let i = 0; i < 4; i++) { kp = A.cycle(kp, 4); states.push(kp[4][3]); }
  assert.deepEqual(states, [S.BEHIND, S.HIDDEN, S.VISIBLE, S.BEHIND]);
  assert.deepEqual(kp[4].slice(0, 2), standing()[4].slice(0, 2));
});

test("mirror twice and swap twice are nothing; the trunk's middle stays", () => {
  for (let seed = 0; seed < 50; seed++) {
    const kp = anywhere(seed);
    equal(A.mirror(A.mirror(kp)), kp);
    equal(A.swapSides(A.swapSides(kp)), kp);
    const centre = (p) => p[1][0] + K.hipCentre(p)[0];
    near(assert, centre(A.mirror(kp)), centre(kp), 1e-9);
    K.lengths(A.mirror(kp)).forEach((length, limb) => {
      const [a, b] = S.LIMBS[limb];
      near(assert, length, K.length(kp, S.MIRROR[a], S.MIRROR[b]));
    });
  }
});

test("turn to the back: same outline, left and right exchanged, no face; and back again", () => {
  const kp = wild(1);
  kp[4] = [kp[1][0] + 2, (kp[1][1] + kp[8][1]) / 2, 1, S.VISIBLE]; // a hand before the trunk
  const back = A.turn(kp);
  assert.ok(!A.isBack(kp) && A.isBack(back));
  assert.ok(back[2][0] > back[5][0]);
  assert.deepEqual([0, 14, 15].map((j) => back[j][3]), [0, 0, 0]);
  assert.deepEqual([16, 17].map((j) => back[j][3]), [2, 2]);
  assert.equal(back[7][3], S.BEHIND); // the hand is now the left one, and behind the trunk
  assert.equal(back[4][3], S.VISIBLE); // the other hand hangs beside it
  equal(A.turn(back), kp);
  const outline = (p) => p.map((q) => q.slice(0, 2).join()).sort();
  assert.deepEqual(outline(back), outline(kp));
  assert.deepEqual(P.check(back, { source: kp }).filter((f) => f.id === "crossed"), []);
});

test("hide legs hides knees and ankles and brings them back", () => {
  const kp = A.hideLegs(standing());
  assert.ok(A.legsHidden(kp));
  assert.deepEqual(K.drawn(kp).length, 14);
  equal(A.hideLegs(kp), standing());
});

test("reset: one joint, all joints", () => {
  const source = standing(), kp = wild(2), one = A.resetJoint(kp, source, 7);
  assert.deepEqual(one[7], source[7]);
  assert.deepEqual(one[6], kp[6]);
  assert.deepEqual(A.resetAll(source), source);
  assert.notEqual(A.resetAll(source)[0], source[0]); // a copy
});

test("fit: the drawn joints fill the frame, proportions stay; also a single joint", () => {
  for (let seed = 0; seed < 30; seed++) {
    const kp = anywhere(seed);
    if (!K.drawn(kp).length) continue;
    const out = A.fit(kp, SIZE, 0.1), [l, t, r, b] = K.box(out);
    assert.ok(l >= 59.99 && t >= 79.99 && r <= 540.01 && b <= 720.01);
    assert.ok(Math.abs(r - l - 480) < 1e-6 || Math.abs(b - t - 640) < 1e-6 || r - l < 1);
    const ratio = K.length(out, 0, 1) / K.length(kp, 0, 1);
    near(assert, K.length(out, 2, 13) / K.length(kp, 2, 13), ratio, 1e-9);
  }
  const one = standing().map((p, j) => [...p.slice(0, 3), j === 4 ? 2 : 0]);
  equal([A.fit(one, SIZE)[4]], [[300, 400, 1, 2]]);
});

test("the standing figure stands in the frame, whatever its shape, and looks plausible", () => {
  for (const size of [[64, 64], [600, 800], [4000, 300]]) {
    const kp = A.standing(size), [l, t, r, b] = K.box(kp);
    assert.ok(l >= 0 && t >= 0 && r <= size[0] && b <= size[1]);
    assert.deepEqual(P.check(kp, { size }), []);
  }
});

const ids = (findings) => findings.map((finding) => finding.id);

test("a detected pose has no findings against itself, however foreshortened", () => {
  for (let seed = 0; seed < 400; seed++) {
    const kp = seed % 2 ? wild(seed, 90) : anywhere(seed);
    const found = P.check(kp, { source: kp }).filter((f) => f.id.startsWith("long"));
    assert.deepEqual(found, [], JSON.stringify(found));
  }
});

test("one stretched arm is named, with its length; a shortened one is not", () => {
  const source = standing();
  const stretch = (factor) => K.transform(source, [4], source[3].slice(0, 2), { scale: factor });
  const [finding, ...others] = P.check(stretch(1.5), { source })
    .filter((f) => f.level === "error");
  assert.deepEqual(others, []);
  assert.equal(finding.id, "long-4");
  assert.deepEqual(finding.joints, [3, 4]);
  assert.match(finding.text, /^right forearm: 150 %/);
  assert.deepEqual([...P.tooLong(stretch(1.5), { source })], [3]);
  assert.deepEqual(ids(P.check(stretch(1.17), { source })), ["long-4"]);
  assert.deepEqual(ids(P.check(stretch(1.14), { source })), []);
  assert.deepEqual(ids(P.check(stretch(0.7), { source })), []);
  assert.deepEqual(ids(P.check(stretch(0.5), { source })), ["asymmetry-4"]);
  assert.deepEqual(ids(P.check(stretch(0.1), { source })), []); // points at the camera
});

test("without a detected person the average body judges, more gently", () => {
  const stretch = (factor) => P.check(
    K.transform(standing(), [10], standing()[9].slice(0, 2), { scale: factor }));
  assert.deepEqual(ids(stretch(1.25)), []);
  assert.deepEqual(stretch(1.8).map((f) => [f.id, f.level])[0], ["long-10", "warning"]);
});

test("the person's scale does not matter", () => {
  const source = standing();
  for (const scale of [0.3, 2.5]) {
    const kp = K.transform(source, K.allJoints, [0, 0], { scale });
    assert.deepEqual(P.check(kp, { source }), []);
    const long = K.transform(kp, [10], kp[9].slice(0, 2), { scale: 1.4 });
    assert.deepEqual(ids(P.check(long, { source })), ["long-10"]);
  }
});

test("outside, missing, crossed, hidden and on one spot are told apart", () => {
  const source = standing(), size = SIZE;
  const edited = (change) => { const kp = structuredClone(source); change(kp); return kp; };
  const found = (change) => ids(P.check(edited(change), { source, size }));
  assert.deepEqual(found(() => {}), []);
  assert.ok(found((kp) => { kp[10][1] = 801; }).includes("outside"));
  assert.deepEqual(found((kp) => { kp[8][3] = 0; }), ["missing"]);
  assert.ok(found((kp) => { [kp[14], kp[15]] = [kp[15], kp[14]]; }).includes("crossed"));
  assert.ok(found((kp) => { [kp[16], kp[17]] = [kp[17], kp[16]]; }).includes("crossed"));
  assert.deepEqual(found((kp) => kp.forEach((p) => { p[3] = 0; })), ["missing"]);
  assert.deepEqual(found((kp) => kp.forEach((p) => { p[0] = p[1] = 9; })), ["spot"]);
  // on the head: upside down is not crossed
  const handstand = K.transform(source, K.allJoints, [300, 400], { angle: Math.PI });
  assert.deepEqual(ids(P.check(handstand, { source, size })), []);
});

test("fix satisfies its own check, on a thousand ruined poses", () => {
  const next = random(9);
  for (let seed = 0; seed < 1000; seed++) {
    const source = seed % 3 ? wild(seed, 40) : null;
    const ruined = seed % 2 ? anywhere(seed) : wild(seed, 20 + 600 * next());
    const size = seed % 5 ? SIZE : null;
    const out = P.fix(ruined, { source, size });
    assert.ok(out.flat().every(Number.isFinite));
    const left = P.check(out, { source, size }).filter((finding) => finding.fixable);
    assert.deepEqual(ids(left), [], `seed ${seed}`);
  }
});

test("fix leaves a good pose alone and shortens only what is too long", () => {
  const source = standing(), options = { source, size: SIZE };
  equal(P.fix(source, options), source);
  const long = K.transform(source, [4], source[3].slice(0, 2), { scale: 1.5 });
  equal(P.fix(long, options), source, 1e-6);
  const right = SIZE[0] - K.box(source)[2] + 25; // the arm sticks out by 25 pixels
  const moved = K.move(source, K.allJoints, right, 0);
  equal(P.fix(moved, options), K.move(moved, K.allJoints, -25, 0), 1e-6);
  const wide = K.clone(source); // the left arm level: the wrist reaches out of the photo
  for (const j of [6, 7]) [wide[j][0], wide[j][1]] = [
    source[5][0] + K.length(source, 5, 6) * (j === 6 ? 1 : 1.8), source[5][1]];
  const out = K.move(wide, K.allJoints, SIZE[0] + 90 - wide[7][0], 0);
  equal(P.fix(out, options), A.setState(out, [7], S.HIDDEN));
});

test("the library's poses on any of its bodies are plausible", () => {
  const library = require("../../../reposedm/pose/presets.json"), R = load("retarget");
  const poses = library.presets.map((entry) => R.fromPreset(library, entry));
  for (const body of poses.slice(0, 12)) {
    const source = A.fit(body.kp, SIZE, 0.15);
    for (const { kp, ...rest } of poses) {
      const found = P.check(R.retarget(kp, source, { ...rest, size: SIZE }), { source, size: SIZE });
      assert.deepEqual(found.filter((finding) => finding.fixable), []);
    }
  }
});
