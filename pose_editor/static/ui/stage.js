// Drawing: nodes are made once per number of people and updated in place, so that focus stays.
let nodes = null;
let shown = -1;
let pending = 0;

function build() {
  if (nodes && shown === doc.people.length) return;
  shown = doc.people.length;
  for (const group of [el.bones, el.joints, el.others, el.onion]) group.replaceChildren();
  const lines = (group, cls) => SK.LIMBS.map((limb, i) => group.appendChild(
    draw("line", { class: cls, stroke: SK.cssColor(i) })));
  nodes = { bones: [], joints: [], onion: lines(el.onion, ""), others: [] };
  if (!shown) return;
  nodes.bones = lines(el.bones, "pe-bone");
  nodes.joints = SK.NAMES.map((name, j) => el.joints.appendChild(makeJoint(j)));
  nodes.others = doc.people.map((person, i) => {
    const group = el.others.appendChild(draw("g", { class: "pe-other" }));
    const badge = draw("g", { class: "pe-badge" });
    badge.append(draw("circle", { r: 11 }), draw("text", { y: 4.5 }, String(i + 1)));
    const made = { group, lines: lines(group, ""), badge };
    el.others.append(badge);
    return made;
  });
}

function makeJoint(j) {
  const group = draw("g", { class: "pe-joint", role: "button", tabindex: 0, "data-joint": j });
  group.append(
    draw("circle", { class: "pe-hit", r: 12 }),
    draw("circle", { class: "pe-ring", r: 10 }),
    draw("circle", { class: "pe-dot", r: 6, fill: SK.cssColor(j) }),
    draw("text", { y: 3.5 }, SK.side(j)),
  );
  return group;
}

const setLine = (line, a, b) => set(line, { x1: a[0], y1: a[1], x2: b[0], y2: b[1] });
const setBox = (rect, [l, t, r, b]) => set(rect, { x: l, y: t, width: r - l, height: b - t });
const STATE_CLASS = [" pe-ghost", " pe-behind", ""];

// Where the stage is on the screen, asked once a frame: each time after painting costs a layout.
let seen = {};
function onScreen(what, ask) {
  if (!Object.keys(seen).length) requestAnimationFrame(() => { seen = {}; });
  return seen[what] ??= ask();
}
const stageBox = () => onScreen("box", () => el.svg.getBoundingClientRect());

// Screen pixels to photo pixels: joints keep their size on screen at any zoom and on any photo.
function unit() {
  const box = stageBox();
  return (1 / Math.min(box.width / doc.width, box.height / doc.height) || 1) / ui.zoom;
}
const place = (p, u) => "translate(" + p[0] + " " + p[1] + ") scale(" + u + ")";

// What changes while dragging: one person, her map, the selection box. Well under 2 ms.
function paint() {
  build();
  const pose = kp(), u = unit();
  el.hips.style.display = pose ? "" : "none";
  if (pose) {
    const long = PosePlausibility.tooLong(pose, { source: source() });
    SK.LIMBS.forEach(([a, b], i) => {
      const state = Math.min(pose[a][3], pose[b][3]), tooLong = long.has(i) && state;
      setLine(nodes.bones[i], pose[a], pose[b]);
      set(nodes.bones[i], { class: "pe-bone" + STATE_CLASS[state] + (tooLong ? " pe-long" : "") });
    });
    nodes.joints.forEach((node, j) => {
      const marks = (j === ui.active ? " pe-on" : "") + (ui.marked.has(j) ? " pe-marked" : "");
      set(node, {
        transform: place(pose[j], u),
        class: "pe-joint" + STATE_CLASS[pose[j][3]] + marks,
        "aria-label": SK.describe(pose, j),
      });
    });
    set(el.hips, { transform: place(K.hipCentre(pose), u) });
    set(nodes.others[doc.selected].badge, { transform: place(badgeSpot(pose, u), u) });
  }
  paintMarks(pose, u);
  if (!pending) pending = requestAnimationFrame(() => {
    pending = 0;
    paintMap();
    paintTable();
  });
}

const badgeSpot = (pose, u) => {
  const box = K.box(pose) || [0, 0, 0, 0];
  return [(box[0] + box[2]) / 2, Math.max(box[1] - 26 * u, 12 * u)];
};

function paintMarks(pose, u) {
  const box = pose && ui.marked.size > 1 ? K.box(pose, [...ui.marked]) : null;
  el.marks.style.display = box ? "" : "none";
  if (!box) return;
  const [l, t, r, b] = markBox(box, u);
  const [frame, stem, ...grips] = el.marks.children;
  setBox(frame, [l, t, r, b]);
  setLine(stem, [(l + r) / 2, t], [(l + r) / 2, t - 28 * u]);
  gripSpots([l, t, r, b], u).forEach((at, i) => set(grips[i], { transform: place(at, u) }));
}
const markBox = ([l, t, r, b], u) => [l - 14 * u, t - 14 * u, r + 14 * u, b + 14 * u];
const gripSpots = ([l, t, r, b], u) =>
  [[l, t], [r, t], [r, b], [l, b], [(l + r) / 2, t - 28 * u]];

function buildMarks() {
  el.marks.append(draw("rect"), draw("line"));
  for (let i = 0; i < 5; i += 1) el.marks.append(draw("circle", { class: "pe-grip", r: 7 }));
}

// Everything else: other people, the original, the photo, buttons and panels.
function paintAll() {
  seen = {};
  paint();
  const u = unit(), blank = !doc.image && !doc.people.length;
  el.root.classList.toggle("pe-blank", blank);
  el.root.classList.toggle("pe-letters", ui.letters);
  set(el.svg, { viewBox: "0 0 " + doc.width + " " + doc.height });
  set(el.view, { transform: place(ui.pan, ui.zoom) });
  seen = {};
  for (const image of [el.photo, el.warped]) set(image, { width: doc.width, height: doc.height });
  const several = doc.people.length > 1;
  doc.people.forEach((person, i) => {
    const { group, lines, badge } = nodes.others[i];
    const pose = person.keypoints, mine = i === doc.selected;
    group.style.display = mine ? "none" : "";
    badge.style.display = several ? "" : "none";
    set(badge, {
      class: "pe-badge" + (mine ? "" : " pe-idle"),
      transform: place(badgeSpot(pose, u), u),
    });
    SK.LIMBS.forEach(([a, b], n) => {
      setLine(lines[n], pose[a], pose[b]);
      lines[n].style.display = pose[a][3] && pose[b][3] ? "" : "none";
    });
  });
  const first = ui.onion && source();
  el.onion.style.display = first ? "" : "none";
  if (first) SK.LIMBS.forEach(([a, b], n) => {
    setLine(nodes.onion[n], first[a], first[b]);
    nodes.onion[n].style.display = first[a][3] && first[b][3] ? "" : "none";
  });
  paintTools();
  paintPeople();
  paintChecks();
  paintBusy();
}

const NEED_PERSON = "mirror turn swap legs fit resetJoint resetAll savePreset saveOpenPose " +
  "saveEditor savePng";
const buttons = (name) => [...element.querySelectorAll("[data-" + name + "]")]
  .map((button) => [button, button.getAttribute("data-" + name)]);

// aria-disabled, not disabled: a disabled button drops the focus, and shortcuts with it.
function paintTools() {
  const pose = kp();
  const off = {
    undo: !past.canUndo, redo: !past.canRedo, detect: !doc.image,
    resetJoint: ui.active < 0 || !source(), resetAll: !source(),
  };
  for (const name of pose ? [] : NEED_PERSON.split(" ")) off[name] = true;
  for (const [button, name] of buttons("cmd")) set(button, { "aria-disabled": Boolean(off[name]) });
  for (const name of ["mode", "tool"])
    for (const [button, is] of buttons(name)) set(button, { "aria-pressed": is === ui[name] });
  set(element.querySelector("[data-toggle]"), { "aria-pressed": live.on });
  el.percent.textContent = ui.zoom === 1 ? "Fit" : Math.round(ui.zoom * 100) + " %";
  el.turnText.textContent = pose && A.isBack(pose) ? "Turn to front" : "Turn to back";
  el.legsText.textContent = pose && A.legsHidden(pose) ? "Show legs" : "Hide legs";
}

function paintBusy() {
  const text = busyText();
  el.root.classList.toggle("pe-busy", Boolean(text));
  set(el.root, { "aria-busy": Boolean(text) });
  el.pill.hidden = !text;
  el.pill.textContent = text;
}
