// Commands of the buttons, and the keyboard: everything the pointer can do has a key.
function activate(joint, focus = false) {
  ui.active = joint;
  if (focus && nodes.joints[joint]) nodes.joints[joint].focus({ preventScroll: true });
  paint();
  paintTools();
}

function cycle(joint) {
  if (edit(A.cycle(kp(), joint), "visibility")) say(SK.describe(kp(), joint));
}

function flip(joint) {
  if (edit(K.flip(kp(), joint), "flip")) say(SK.NAMES[joint] + " flipped");
}

function act(action, change, words) {
  if (kp() && edit(change(kp()), action)) say(words);
}

function showMode(name, value) {
  ui[name] = value;
  if (name === "tool" && value !== "box") ui.marked.clear();
  paintAll();
}

function download(name, type, content) {
  const link = make("a", { download: name });
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 4000);
}

const downloadJson = (name, value) => download(name, "application/json", JSON.stringify(value));

const commands = {
  undo: () => travel("undo", "Undone"),
  redo: () => travel("redo", "Done again"),
  mirror: () => act("mirror", A.mirror, "Mirrored"),
  turn: () => act("turn", A.turn, "Turned round"),
  swap: () => act("swap", A.swapSides, "Left and right exchanged"),
  legs: () => act("legs", A.hideLegs, "Legs changed"),
  fit: () => act("fit", (pose) => A.fit(pose, size()), "Fitted to the photo"),
  resetJoint: () => ui.active >= 0 &&
    act("reset", (pose) => A.resetJoint(pose, source(), ui.active), SK.NAMES[ui.active] + " reset"),
  resetAll: () => act("reset", () => A.resetAll(source()), "Back to the skeleton that was found"),
  fix: () => act("fix", (pose) => PosePlausibility.fix(pose, known()), "Fixed"),
  view: () => { fitView(); paintAll(); },
  zoomIn: () => zoomBy(1.25),
  zoomOut: () => zoomBy(0.8),
  detect: () => {
    if (busyText()) return;
    say("Looking for people");
    trigger("detect", {});
  },
  restore: () => restoreMemory(),
  forget: () => { remembered = null; stored("pose", null); el.offer.hidden = true; },
  choose: () => el.photoFile.click(),
  import: () => el.file.click(),
  importText: () => importText(el.text.value),
  savePreset: () => savePreset(),
  exportPresets: () => exportPresets(),
  saveOpenPose: () => downloadJson("pose.json", D.toOpenPose(doc)),
  saveEditor: () => downloadJson("pose.reposedm.json", D.toEditorJson(doc)),
  savePng: () => savePng(),
};

el.root.addEventListener("click", (e) => {
  const button = e.target.closest("button");
  if (!button || button.getAttribute("aria-disabled") === "true") return;
  const get = (name) => button.getAttribute("data-" + name);
  if (get("cmd")) commands[get("cmd")]();
  else if (get("mode")) showMode("mode", get("mode"));
  else if (get("tool")) showMode("tool", get("tool"));
  else if (get("toggle")) toggleLive();
});

function toggleLive() {
  live.on = !live.on;
  if (live.on) askLive(); else showWarped("");
  paintTools();
  say(live.on ? "Live preview on" : "Live preview off");
}

function jointOf(target) {
  const node = target.closest(".pe-joint");
  return node ? Number(node.getAttribute("data-joint")) : -1;
}
const dragOptions = (e) => ({ mode: ui.mode, symmetric: e.altKey, size: size() });
const known = () => ({ source: source(), size: size() });

const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };

function nudge(joint, [dx, dy], e) {
  const pose = kp(), step = e.shiftKey ? 10 : 1;  // Shift is the long step here, not one joint
  const next = ui.marked.has(joint) && ui.marked.size > 1
    ? K.move(pose, [...ui.marked], dx * step, dy * step, size())
    : K.drag(pose, joint, pose[joint][0] + dx * step, pose[joint][1] + dy * step, dragOptions(e));
  if (edit(next, "nudge", "nudge " + joint)) say(SK.describe(kp(), joint));
}

function jointKey(key, joint, e) {
  if (ARROWS[key]) nudge(joint, ARROWS[key], e);
  else if (key === "h" || key === "delete" || key === "backspace") cycle(joint);
  else if (key === "f") flip(joint);
  else if (key === "enter" || key === " ") { activate(joint); say(SK.describe(kp(), joint)); }
  else return false;
  return true;
}

function plainKey(key, joint) {
  if (key === "n") activate((joint + 1) % SK.N, true);
  else if (key === "p") activate((Math.max(joint, 0) + SK.N - 1) % SK.N, true);
  else if (key === "m") commands.mirror();
  else if (key === "0") commands.view();
  else if (key === "+" || key === "=") commands.zoomIn();
  else if (key === "-") commands.zoomOut();
  else return false;
  return true;
}

el.root.addEventListener("keydown", (e) => {
  const key = e.key.toLowerCase(), modified = e.ctrlKey || e.metaKey;
  if (e.target.matches("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
  if (key === "escape") {
    if (cancelGesture()) say("Drag cancelled");
    else if (ui.marked.size) { ui.marked.clear(); paintAll(); }
    return;
  }
  if (modified && (key === "z" || key === "y")) {
    e.preventDefault();
    return commands[key === "y" || e.shiftKey ? "redo" : "undo"]();
  }
  if (modified || gesture || !kp() || busyText()) return;
  const joint = jointOf(e.target);
  if (joint >= 0 && jointKey(key, joint, e)) e.preventDefault();
  else if (plainKey(key, joint >= 0 ? joint : ui.active)) e.preventDefault();
});

// On the root: Chromium puts SVG groups that listen for focus into the tab order.
el.root.addEventListener("focusin", (e) => {
  const joint = jointOf(e.target);
  if (joint >= 0 && joint !== ui.active) activate(joint);
});
