// Beside the stage: people, presets, the pose map, the checks, the table of joints.
function paintPeople() {
  const n = doc.people.length;
  el.people.hidden = n < 2;
  while (el.people.children.length > n) el.people.lastChild.remove();
  for (let i = el.people.children.length; i < n; i += 1) {
    const chip = el.people.appendChild(make("button", { type: "button" }, "Person " + (i + 1)));
    chip.addEventListener("click", () => choosePerson(i));
  }
  [...el.people.children].forEach((chip, i) => set(chip, { "aria-pressed": i === doc.selected }));
}

// ---- presets ---------------------------------------------------------------------------------
let lastPreset = null;
const ownPresets = () => [].concat(stored("presets")).filter(Boolean);

function buildGallery() {
  const library = plain(props.presets);
  el.gallery.replaceChildren();
  for (const own of ownPresets()) {
    const [person] = D.read({ people: [own], width: 9999, height: 9999 }).doc.people;
    if (person) addThumb({ kp: person.keypoints, name: String(own.name), own: true });
  }
  for (const entry of (library && library.presets) || [])
    addThumb({ ...PoseRetarget.fromPreset(library, entry), name: entry.title });
}

function addThumb(preset) {
  const { kp: pose, name } = preset;
  const card = el.gallery.appendChild(make("div", { class: "pe-preset" }));
  const names = { type: "button", title: name, "aria-label": "Preset " + name };
  const button = card.appendChild(make("button", names));
  button.append(thumbnail(pose), make("span", {}, name));
  button.addEventListener("click", () => { lastPreset = preset; usePreset(); });
  if (!preset.own) return;
  const label = "Delete preset " + name;
  const cross = make("button", { type: "button", class: "pe-x", "aria-label": label }, "×");
  card.append(cross);
  cross.addEventListener("click", () => {
    stored("presets", ownPresets().filter((entry) => entry.name !== name));
    buildGallery();
    say("Preset " + name + " deleted");
  });
}

function thumbnail(pose) {
  const svg = draw("svg", { class: "pe-thumb", viewBox: "0 0 52 64", "aria-hidden": "true" });
  const drawing = D.thumbnail(pose, 52, 64);
  for (const { color, behind, ...ends } of drawing.limbs)
    svg.append(draw("line", { ...ends, stroke: color, "stroke-opacity": behind ? 0.45 : 1 }));
  for (const { x, y, color } of drawing.joints)
    svg.append(draw("circle", { cx: x, cy: y, r: 1.4, fill: color, stroke: "none" }));
  return svg;
}

function presetPose() {
  const { kp: pose, lengths = null, lift = 0 } = lastPreset;
  const options = { proportions: +el.proportions.value, lengths, lift, size: size() };
  const body = source() || kp();
  return PoseRetarget.retarget(A.withSideOf(pose, body), body, options);
}

function usePreset(tag = null) {
  if (!lastPreset || busyText()) return;
  if (!kp()) return newPerson({ width: 1000, height: 1000 }, lastPreset.kp, "preset");
  const next = presetPose();
  if (!next) return say("This preset does not fit: show the shoulders and hips first.", true);
  edit(next, "preset", tag);
  say("Preset " + lastPreset.name);
}

function savePreset() {
  const name = el.presetName.value.trim() || "My pose " + (ownPresets().length + 1);
  const kept = ownPresets().filter((entry) => entry.name !== name).slice(0, 49);
  stored("presets", [{ name, keypoints: D.round(doc).people[doc.selected].keypoints }, ...kept]);
  el.presetName.value = "";
  buildGallery();
  el.gallery.scrollTop = 0;
  say("Preset " + name + " saved in this browser");
}

function exportPresets() {
  const own = ownPresets();
  if (!own.length) return say("There is no preset of your own to export yet.");
  downloadJson("presets.json", { format: "reposedm-own-presets", version: 1, presets: own });
}

el.proportions.addEventListener("input", () => {
  const next = lastPreset && kp() && !busyText() ? presetPose() : null;
  if (!next) return;
  doc = D.withKeypoints(doc, doc.selected, next);
  paint();
  askLive();
});
el.proportions.addEventListener("change", () => usePreset("proportions"));

// ---- the map: the same rule as Python's, only what changed is drawn again ----------------------
let map = null;

function paintMap() {
  el.mapPanel.hidden = !kp();
  if (!kp() || !el.mapPanel.open) return;
  const [width, height] = PoseMap.mapSize(size());
  const fresh = !map || map.width !== width || map.height !== height;
  if (fresh) {
    map = PoseMap.create(size());
    el.map.width = width;
    el.map.height = height;
  }
  map.draw([kp()]);
  PoseMap.paint(el.map.getContext("2d"), map, fresh);
}

// ---- plausibility ------------------------------------------------------------------------------
const LEVELS = { error: "Problem", warning: "Look", info: "Note" };

function paintChecks() {
  const pose = kp();
  el.checkPanel.hidden = !pose;
  if (!pose) return;
  const found = PosePlausibility.check(pose, known());
  const rows = found.map(({ level, text }) => [level, LEVELS[level], text]);
  if (!rows.length) rows.push(["fine", "Fine", "This pose looks possible."]);
  el.checks.replaceChildren(...rows.map(([level, word, text]) => {
    const row = make("li", { class: "pe-" + level });
    row.append(make("b", {}, word), make("span", {}, text));
    return row;
  }));
  el.checkCount.textContent = found.length ? "(" + found.length + ")" : "";
  el.fixButton.hidden = !found.some((entry) => entry.fixable);
}

// ---- the table: every joint without a pointer ---------------------------------------------------
let cells = null;

function buildTable() {
  cells = SK.NAMES.map((name, j) => {
    const row = el.rows.appendChild(make("tr"));
    row.append(make("th", { scope: "row" }, name));
    const number = { type: "number", step: "any", inputmode: "decimal" };
    const inputs = ["x", "y"].map((axis) =>
      make("input", { ...number, "aria-label": name + " " + axis }));
    const state = make("select", { "aria-label": name + " state" });
    SK.STATES.forEach((word, value) => state.append(make("option", { value }, word)));
    for (const input of [...inputs, state]) {
      row.appendChild(make("td")).append(input);
      input.addEventListener("change", () => readRow(j));
    }
    return [...inputs, state];
  });
}

function paintTable() {
  if (!el.tablePanel.open) return;
  if (!cells) buildTable();
  const pose = kp();
  cells.forEach((row, j) => [0, 1, 3].forEach((field, i) => {
    row[i].disabled = !pose;
    const value = pose ? String(Math.round(pose[j][field] * 10) / 10) : "";
    if (row[i].value !== value) row[i].value = value;
  }));
}

function readRow(j) {
  const [x, y, state] = cells[j].map((input) => (input.value === "" ? NaN : Number(input.value)));
  const pose = kp(), far = [x / doc.width, y / doc.height].some((v) => !(v >= -1 && v <= 2));
  if (far) {
    paintTable();
    return say(SK.NAMES[j] + ": x and y must be numbers near the photo.", true);
  }
  const next = K.clone(pose);
  next[j] = [x, y, 1, state];
  if (edit(next, "table")) say(SK.describe(kp(), j));
}

for (const panel of [el.tablePanel, el.mapPanel])
  panel.addEventListener("toggle", () => { paintMap(); paintTable(); });
