const test = require("node:test");
const assert = require("node:assert/strict");
const { load, random, SIZE, standing, wild, anywhere, near } = require("./poses.js");
const D = load("document"), H = load("history"), R = load("retarget");

const docOf = (...kps) => ({
  image: { path: "a.png" }, width: 600, height: 800, selected: 0,
  people: kps.map((keypoints) => ({ keypoints, extras: {} })),
  sources: kps.map((keypoints) => ({ keypoints, extras: {} })),
});

test("a valid value is read as it is", () => {
  const doc = D.round(docOf(wild(1), wild(2)));
  doc.selected = 1;
  const { doc: again, problems } = D.read(doc);
  assert.deepEqual(again, doc);
  assert.deepEqual(problems, []);
});

test("C-25: values that are no document are described, never thrown", () => {
  const good = D.round(docOf(wild(1)));
  const spoiled = (change) => { const doc = structuredClone(good); change(doc); return doc; };
  const bad = [
    spoiled((d) => d.people[0].keypoints.pop()),
    spoiled((d) => d.people[0].keypoints.push([1, 1, 1, 2])),
    spoiled((d) => { d.people[0].keypoints[3][0] = "7"; }),
    spoiled((d) => { d.people[0].keypoints[3][0] = NaN; }),
    spoiled((d) => { d.people[0].keypoints[3][1] = Infinity; }),
    spoiled((d) => { d.people[0].keypoints[3][1] = -1e9; }),
    spoiled((d) => { d.people[0].keypoints[3][3] = 3; }),
    spoiled((d) => { d.people[0].keypoints[3] = null; }),
    spoiled((d) => { d.people[0] = null; }),
    spoiled((d) => { d.people[0] = { keypoints: { length: 18 } }; }),
  ];
  for (const value of bad) {
    const { doc, problems } = D.read(value);
    assert.equal(doc.people.length, 0);
    assert.equal(problems.length, 1);
    assert.match(problems[0], /^person 1/);
  }
  assert.match(D.read(bad[3]).problems[0], /right elbow/);
  for (const value of [null, undefined, 7, "x", [], {}, { people: 3, width: -1, height: 2 }]) {
    const { doc } = D.read(value);
    assert.deepEqual(doc.people, []);
    assert.ok(doc.width > 0 && doc.height > 0);
  }
  const crowd = docOf(...Array.from({ length: 25 }, (_, i) => wild(i)));
  assert.equal(D.read(crowd).doc.people.length, 20);
  assert.equal(D.read(crowd).problems.length, 1);
});

test("the selected person stays selected when one before it is dropped", () => {
  const doc = docOf(wild(1), wild(2), wild(3));
  doc.people[0].keypoints = [];
  doc.selected = 2;
  const read = D.read(doc).doc;
  assert.equal(read.selected, 1);
  assert.deepEqual(read.people[1].keypoints, wild(3));
  assert.equal(read.sources.length, 2);
});

test("a hidden joint without coordinates gets a place, so that a click can bring it back", () => {
  const kp = standing();
  kp[4] = [0, 0, 0, 0];
  const { doc } = D.read(docOf(kp));
  const [x, y, , state] = doc.people[0].keypoints[4];
  assert.equal(state, 0);
  assert.ok(Math.hypot(x - kp[3][0], y - kp[3][1]) > 20 && x > 0 && y > kp[3][1]);
});

test("rounding: two decimals, within what Python accepts, and it settles", () => {
  const kp = wild(3);
  kp[4] = [1e5, -1e5, 0.123456, 0];
  const doc = D.round(docOf(kp)), out = doc.people[0].keypoints;
  for (const [x, y, score] of out) {
    for (const value of [x, y, score]) near(assert, value * 100, Math.round(value * 100), 1e-6);
    assert.ok(x >= -1200 && x <= 1800 && y >= -1600 && y <= 2400);
  }
  assert.deepEqual(D.round(doc), doc);
});

test("OpenPose export: hidden joints are zeros, the canvas and foreign fields are there", () => {
  const kp = wild(5);
  kp[4][3] = 0;
  kp[1][2] = 0; // drawn, but a file's score of 0 would mean hidden
  const doc = docOf(kp);
  doc.people[0].extras = { face_keypoints_2d: [1, 2, 3] };
  const { canvas_width, canvas_height, people } = D.toOpenPose(doc);
  assert.deepEqual([canvas_width, canvas_height], [600, 800]);
  assert.equal(people[0].pose_keypoints_2d.length, 54);
  assert.deepEqual(people[0].pose_keypoints_2d.slice(12, 15), [0, 0, 0]);
  near(assert, people[0].pose_keypoints_2d[3], kp[1][0], 0.005);
  assert.equal(people[0].pose_keypoints_2d[5], 1);
  assert.deepEqual(people[0].face_keypoints_2d, [1, 2, 3]);
  assert.deepEqual(D.toEditorJson(doc).people[0].keypoints[4][3], 0);
});

test("people come and are found under the pointer", () => {
  const kp = standing();
  let doc = D.addPerson(D.empty(), kp);
  doc = D.addPerson(doc, kp.map(([x, y, ...rest]) => [x / 4 + 225, y / 4 + 300, ...rest]));
  const [x, y] = doc.people[1].keypoints[1]; // the small one stands before the large one
  assert.equal(doc.selected, 1);
  assert.equal(D.personAt(doc, kp[1][0], kp[1][1]), 0);
  assert.equal(D.personAt(doc, x, y), 1);
  assert.equal(D.personAt({ ...doc, people: [...doc.people].reverse() }, x, y), 0);
  assert.equal(D.personAt(doc, -999, 0), -1);
  assert.equal(doc.sources.length, 2);
  assert.equal(D.selectedKp(doc), doc.people[1].keypoints);
  assert.equal(D.selectedKp(D.empty()), null);
});

test("thumbnails fit their picture and leave out hidden joints", () => {
  for (let seed = 0; seed < 20; seed++) {
    const kp = anywhere(seed), { limbs, joints } = D.thumbnail(kp, 72, 96);
    assert.equal(joints.length, kp.filter((p) => p[3]).length);
    for (const { x, y } of joints) assert.ok(x >= 3.9 && x <= 68.1 && y >= 3.9 && y <= 92.1);
    assert.ok(limbs.length <= 17);
  }
});

const changed = (doc, x) => D.withKeypoints(doc, 0, doc.people[0].keypoints.map(
  (p, j) => (j ? p : [x, ...p.slice(1)])));
const noseX = (doc) => doc.people[0].keypoints[0][0];

test("C-33: undo walks back 200 steps and redo forward again", () => {
  const history = H.open("walk");
  let doc = docOf(wild(1));
  history.reset(doc);
  for (let i = 1; i <= 250; i++) { doc = changed(doc, i); history.push(doc); }
  let steps = 0;
  for (let next = history.undo(doc); next; next = history.undo(doc)) { doc = next; steps++; }
  assert.equal(steps, 200);
  assert.equal(noseX(doc), 50);
  assert.ok(!history.canUndo && history.canRedo);
  for (let next = history.redo(doc); next; next = history.redo(doc)) doc = next;
  assert.equal(noseX(doc), 250);
  assert.equal(doc.image.path, "a.png");
});

test("nudges merge by tag and time, an unchanged document is no step", () => {
  const history = H.open("nudge");
  let doc = docOf(wild(1));
  history.reset(doc);
  assert.equal(history.push(structuredClone(doc)), false);
  const nudge = (x, tag, now) => { doc = changed(doc, x); history.push(doc, tag, now); };
  nudge(1, "n4", 1000);
  nudge(2, "n4", 1500);
  nudge(3, "n4", 2000);
  assert.equal(history.steps, 2);
  nudge(4, "n4", 9000); // later
  nudge(5, "n5", 9001); // another joint
  nudge(6, null, 9002);
  nudge(7, null, 9003);
  assert.equal(history.steps, 6);
  for (const x of [6, 5, 4, 3]) assert.equal(noseX(history.undo(doc)), x);
  nudge(8, "n4", 9004); // after an undo nothing merges, and the undone steps are gone
  assert.equal(history.canRedo, false);
  assert.equal(noseX(history.undo(doc)), 3);
});

test("C-33: an update from the server is one step, its echo none, another photo a new start", () => {
  const history = H.open("server");
  const doc = docOf(wild(1));
  assert.equal(history.server(doc), "reset");
  assert.equal(history.server(structuredClone(doc)), "same");
  const other = changed(doc, 3.14159);
  assert.equal(history.push(other), true);
  assert.equal(history.server(D.round(structuredClone(other))), "same"); // rounded by the commit
  assert.equal(history.server(changed(doc, 9)), "step");
  assert.equal(noseX(history.undo(doc)), 3.14);
  assert.equal(history.server({ ...doc, image: { path: "b.png" } }), "reset");
  assert.equal(history.canUndo, false);
});

test("a history outlives the mount, is not touched by later edits, and old ones are dropped", () => {
  const history = H.open("kept"), doc = docOf(wild(1));
  history.reset(doc);
  history.push(changed(doc, 5));
  const live = changed(doc, 6);
  history.push(live);
  live.people[0].keypoints[0][0] = 777;
  history.undo(doc);
  assert.equal(noseX(history.redo(doc)), 6);
  assert.equal(H.open("kept"), history);
  const file = Object.keys(require.cache).find((name) => name.endsWith("history.js"));
  delete require.cache[file]; // Gradio runs the script again when the tab comes back
  assert.equal(load("history").open("kept"), history);
  for (let i = 0; i < 40; i++) H.open(`other ${i}`);
  assert.notEqual(H.open("kept"), history);
});

test("retarget: a pose on its own body is unchanged, on a half-size body half as large", () => {
  const next = random(1);
  for (let seed = 0; seed < 50; seed++) {
    const kp = wild(seed), out = R.retarget(kp, kp, { proportions: next() });
    out.forEach((p, j) => near(assert, Math.hypot(p[0] - kp[j][0], p[1] - kp[j][1]), 0, 1e-6));
    const small = kp.map(([x, y, ...rest]) => [x / 2, y / 2, ...rest]);
    R.retarget(kp, small).forEach((p, j) => near(assert, p[0], small[j][0], 1e-6));
  }
  const none = standing().map(([x, y, s]) => [x, y, s, 0]);
  assert.equal(R.retarget(none, standing()), null);
  assert.equal(R.retarget(standing(), standing().map((p) => [5, 5, 1, p[3]])), null);
  const off = R.retarget(standing(), standing().map(([x, ...rest]) => [x - 250, ...rest]), { size: SIZE });
  assert.ok(off.some((p) => p[0] < 0) && off.every((p) => p[0] >= 0 || p[3] === 0));
});

test("C-34: a giant's pose on a child: the child's bones and place, or the giant's proportions", () => {
  const child = standing().map(([x, y, ...rest]) => [x / 3 + 100, y / 3 + 300, ...rest]);
  const legs = { 9: 130, 12: 130, 10: 260, 13: 260 };
  const giant = standing().map(([x, y, ...rest], j) => [2 * x, 2 * y + (legs[j] ?? 0), ...rest]);
  const K = load("kinematics");
  const own = R.retarget(giant, child), theirs = R.retarget(giant, child, { proportions: 1 });
  for (const limb of [2, 3, 7, 8]) {
    const [a, b] = load("skeleton").LIMBS[limb], wanted = K.length(child, a, b);
    near(assert, K.length(own, a, b), wanted, 0.02 * wanted, `limb ${limb}`);
  }
  near(assert, K.hipCentre(own)[0], K.hipCentre(child)[0], 1e-6);
  near(assert, Math.max(own[10][1], own[13][1]), Math.max(child[10][1], child[13][1]), 1e-6);
  const shin = (kp) => K.length(kp, 9, 10) / K.length(kp, 8, 1);
  near(assert, shin(theirs), shin(giant), 1e-6);
  assert.ok(shin(theirs) > 1.3 * shin(own));
});

test("hands turn with the forearm, the face goes with the nose, missing points stay missing", () => {
  const doc = docOf(standing(SIZE));
  const kp = doc.people[0].keypoints;
  kp[6] = [300, 300, 1, 2];
  kp[7] = [300, 400, 1, 2];  // the left forearm hangs straight down
  doc.people[0].extras = {
    hand_left_keypoints_2d: [300, 420, 0.9, 0, 0, 0],
    face_keypoints_2d: [kp[0][0] + 5, kp[0][1] - 3, 1],
  };
  const next = kp.map((p) => p.slice());
  next[7] = [400, 300, 1, 2];  // and now points to the right of the picture
  next[0] = [kp[0][0] + 7, kp[0][1] + 2, 1, 2];
  const { extras } = D.withKeypoints(doc, 0, next).people[0];
  const hand = extras.hand_left_keypoints_2d;
  assert.ok(Math.abs(hand[0] - 420) < 1e-9 && Math.abs(hand[1] - 300) < 1e-9);
  assert.deepEqual(hand.slice(2), [0.9, 0, 0, 0]);
  assert.deepEqual(extras.face_keypoints_2d, [kp[0][0] + 12, kp[0][1] - 1, 1]);
  assert.deepEqual(doc.people[0].extras.face_keypoints_2d, [kp[0][0] + 5, kp[0][1] - 3, 1]);
});
