// The editor's document: what the page shows, undoes, posts and exports. Documents are never
// changed in place.
const PoseDocument = ((S, K, R) => {
  const MAX_PEOPLE = 20, MAX_SIDE = 65535, FORMAT = "reposedm-pose";
  const FAR = 1.9; // photo sides that a joint may lie outside; Python refuses more than 2

  const empty = () => (
    { image: null, width: 512, height: 512, people: [], selected: 0, sources: [] });
  const whole = (value, low, high) => Number.isInteger(value) && value >= low && value <= high;

  // One person of an untrusted value, or a sentence that says what is wrong with it.
  function readPerson(person, name) {
    const rows = person?.keypoints;
    if (!Array.isArray(rows) || rows.length !== S.N) return `${name}: needs ${S.N} keypoints.`;
    const keypoints = [];
    for (const [joint, row] of rows.entries()) {
      const numbers = Array.isArray(row) && row.length === 4 && row.every(Number.isFinite);
      if (!numbers || Math.max(Math.abs(row[0]), Math.abs(row[1])) > 1e6 || !whole(row[3], 0, 2)) {
        return `${name}, ${S.NAMES[joint]}: must be [x, y, score, state].`;
      }
      keypoints.push([row[0], row[1], Math.min(Math.max(row[2], 0), 1), row[3]]);
    }
    const extras = person.extras && typeof person.extras === "object" ? person.extras : {};
    return { keypoints: R.complete(keypoints), extras };
  }
  function read(value) {
    const doc = empty(), problems = [];
    if (value === null || typeof value !== "object") return { doc, problems };
    if (whole(value.width, 1, MAX_SIDE) && whole(value.height, 1, MAX_SIDE)) {
      doc.width = value.width;
      doc.height = value.height;
    } else problems.push("The photo's size is missing.");
    doc.image = value.image ?? null;
    const people = Array.isArray(value.people) ? value.people : [];
    const sources = Array.isArray(value.sources) ? value.sources : [];
    if (people.length > MAX_PEOPLE) problems.push(`Only the first ${MAX_PEOPLE} people are kept.`);
    people.slice(0, MAX_PEOPLE).forEach((raw, i) => {
      const person = readPerson(raw, `person ${i + 1}`);
      if (typeof person === "string") { problems.push(person); return; }
      if (i === value.selected) doc.selected = doc.people.length;
      const source = i < sources.length ? readPerson(sources[i], `source ${i + 1}`) : person;
      doc.people.push(person);
      doc.sources.push(typeof source === "string" ? person : source); // one for each person
    });
    return { doc, problems };
  }

  const cents = (value) => Math.round(value * 100) / 100;
  function round(doc) {
    const side = (value, length) => cents(Math.min(Math.max(value, -FAR * length), (1 + FAR) * length));
    const tidy = ({ keypoints, extras }) => ({
      keypoints: keypoints.map(([x, y, score, state]) =>
        [side(x, doc.width), side(y, doc.height), cents(score), state]),
      extras,
    });
    return { ...doc, people: doc.people.map(tidy), sources: doc.sources.map(tidy) };
  }
  const replaced = (list, index, value) => list.map((item, i) => (i === index ? value : item));
  function withKeypoints(doc, index, keypoints) {
    const before = doc.people[index];
    const person = {
      ...before, keypoints, extras: carried(before.extras, before.keypoints, keypoints),
    };
    return { ...doc, people: replaced(doc.people, index, person) };
  }
  // Hands and face of an imported file go where their wrist or nose goes; hands turn with the forearm.
  const HELD_BY = { hand_right_keypoints_2d: [4, 3], hand_left_keypoints_2d: [7, 6],
    face_keypoints_2d: [0, null] };
  function carried(extras, before, after) {
    const moved = { ...extras };
    for (const [name, [held, hinge]] of Object.entries(HELD_BY)) {
      if (!Array.isArray(moved[name])) continue;
      const [x, y] = before[held], [toX, toY] = after[held];
      const bend = (kp) => Math.atan2(kp[held][1] - kp[hinge][1], kp[held][0] - kp[hinge][0]);
      const angle = hinge === null ? 0 : bend(after) - bend(before);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      moved[name] = moved[name].map((value, i, all) => {
        const score = all[i - (i % 3) + 2];
        if (i % 3 === 2 || !(score > 0)) return value;  // a missing point stays 0, 0
        const [dx, dy] = [all[i - (i % 3)] - x, all[i - (i % 3) + 1] - y];
        return i % 3 ? toY + sin * dx + cos * dy : toX + cos * dx - sin * dy;
      });
    }
    return moved;
  }
  const selectedKp = (doc) => doc.people[doc.selected]?.keypoints ?? null;
  const sourceKp = (doc, index = doc.selected) => doc.sources[index]?.keypoints ?? null;
  function addPerson(doc, keypoints) {
    if (doc.people.length >= MAX_PEOPLE) return doc;
    const person = { keypoints, extras: {} };
    return {
      ...doc, people: [...doc.people, person], sources: [...doc.sources, person],
      selected: doc.people.length,
    };
  }
  function personAt(doc, x, y) {
    let best = -1, least = Infinity;
    doc.people.forEach(({ keypoints }, i) => {
      const box = K.box(keypoints);
      if (!box) return;
      const [l, t, r, b] = box, margin = 0.08 * Math.max(r - l, b - t);
      if (x < l - margin || x > r + margin || y < t - margin || y > b + margin) return;
      const area = (r - l) * (b - t);
      if (area < least) { best = i; least = area; } // people in front are not always the larger
    });
    return best;
  }

  const toOpenPose = (doc) => ({
    canvas_width: doc.width,
    canvas_height: doc.height,
    people: round(doc).people.map(({ keypoints, extras }) => ({
      ...extras,
      pose_keypoints_2d: keypoints.flatMap(([x, y, score, state]) =>
        (state ? [x, y, score > 0 ? score : 1] : [0, 0, 0])),
    })),
  });
  const toEditorJson = (doc) => ({
    format: FORMAT,
    version: 1,
    canvas_width: doc.width,
    canvas_height: doc.height,
    people: round(doc).people,
  });

  // Lines and dots of a small picture of the pose, fitted into width x height.
  function thumbnail(kp, width, height, padding = 4) {
    const box = K.box(kp);
    if (!box) return { limbs: [], joints: [] };
    const [l, t, r, b] = box;
    const scale = Math.min(
      (width - 2 * padding) / Math.max(r - l, 1), (height - 2 * padding) / Math.max(b - t, 1));
    const at = kp.map(([x, y]) => [
      cents(width / 2 + (x - (l + r) / 2) * scale), cents(height / 2 + (y - (t + b) / 2) * scale)]);
    const behind = (...joints) => joints.some((joint) => kp[joint][3] === S.BEHIND);
    return {
      limbs: S.LIMBS.flatMap(([from, to], limb) => (kp[from][3] && kp[to][3] ? [{
        x1: at[from][0], y1: at[from][1], x2: at[to][0], y2: at[to][1],
        color: S.cssColor(limb), behind: behind(from, to),
      }] : [])),
      joints: K.drawn(kp).map((joint) => ({
        x: at[joint][0], y: at[joint][1], color: S.cssColor(joint), joint, behind: behind(joint),
      })),
    };
  }

  return {
    MAX_PEOPLE, empty, read, round, withKeypoints, selectedKp, sourceKp, addPerson,
    personAt, toOpenPose, toEditorJson, thumbnail,
  };
})(...(typeof PoseSkeleton === "undefined"
  ? ["skeleton", "kinematics", "retarget"].map((name) => require(`./${name}.js`))
  : [PoseSkeleton, PoseKinematics, PoseRetarget]));
if (typeof module !== "undefined") module.exports = PoseDocument;
