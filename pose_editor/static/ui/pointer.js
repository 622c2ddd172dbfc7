// Mouse, pen and touch. A gesture starts on pointerdown and is committed on pointerup.
const fingers = new Map();
let pinch = null;
let tap = { joint: -1, time: 0 };
const ELBOWS_AND_KNEES = [3, 6, 9, 12];

// What lies under the pointer. The nearest joint wins, not the top-most node: heads are crowded.
function pick(e) {
  const pose = kp(), [x, y] = toPhoto(e), u = unit();
  const reach = u * (e.pointerType === "touch" || e.touches ? 22 : 13);
  const hit = { kind: "empty", x, y };
  if (pose && ui.marked.size > 1) {
    const box = markBox(K.box(pose, [...ui.marked]), u);
    const grip = gripSpots(box, u).findIndex((at) => Math.hypot(at[0] - x, at[1] - y) < reach);
    if (grip >= 0) return { ...hit, kind: grip < 4 ? "scale" : "rotate", grip, box };
    if (x > box[0] && x < box[2] && y > box[1] && y < box[3]) return { ...hit, kind: "marked" };
  }
  if (!pose || ui.tool === "box") return hit;
  const joint = K.nearest(pose, x, y, reach), hips = K.hipCentre(pose);
  if (joint >= 0) return { ...hit, kind: "joint", joint };
  if (Math.hypot(hips[0] - x, hips[1] - y) < reach) return { ...hit, kind: "hips" };
  const bone = K.nearestBone(pose, x, y, reach * 0.7);
  return bone >= 0 ? { ...hit, kind: "bone", bone } : hit;
}

el.svg.addEventListener("touchstart", (e) => {
  // touch-action is ignored on SVG children: without this the page scrolls away under the finger.
  const t = e.touches[0];
  const hit = pick({ clientX: t.clientX, clientY: t.clientY, touches: e.touches });
  if (e.touches.length > 1 || ui.tool !== "move" || hit.kind !== "empty") e.preventDefault();
}, { passive: false });

el.svg.addEventListener("pointerdown", (e) => {
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
  if (fingers.size === 2) return startPinch();
  if (fingers.size > 2 || e.button > 1 || busyText()) return;
  const hit = e.button === 1 || ui.tool === "pan" ? { kind: "pan" } : pick(e);
  const touch = e.pointerType === "touch";
  if (hit.kind === "empty" && touch && ui.tool === "move") return touchEmpty(hit);
  e.preventDefault();
  try { el.svg.setPointerCapture(e.pointerId); } catch (error) { /* the pointer is gone already */ }
  gesture = {
    ...hit, touch, id: e.pointerId, from: [e.clientX, e.clientY], pan: ui.pan,
    start: doc, last: kp(), moved: false, hold: 0,
  };
  if (hit.kind !== "joint" && hit.kind !== "pan") el.svg.focus({ preventScroll: true });
  if (hit.kind !== "joint") return;
  activate(hit.joint, true);
  gesture.offset = [kp()[hit.joint][0] - hit.x, kp()[hit.joint][1] - hit.y];
  if (gesture.touch) gesture.hold = setTimeout(() => { cancelGesture(); cycle(hit.joint); }, 550);
});

function touchEmpty(hit) {
  const other = D.personAt(doc, hit.x, hit.y);
  gesture = { kind: "tap", other, id: -1 };
}

el.svg.addEventListener("pointermove", (e) => {
  if (!fingers.has(e.pointerId)) { hover(e); return; }
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
  if (pinch) return movePinch();
  const g = gesture;
  if (!g || g.id !== e.pointerId) return;
  const dx = e.clientX - g.from[0], dy = e.clientY - g.from[1];
  if (!g.moved && Math.hypot(dx, dy) < (g.touch ? 7 : 3)) return;
  g.moved = true;
  clearTimeout(g.hold);
  if (g.kind === "pan") {
    const a = toFrame(...g.from), b = toFrame(e.clientX, e.clientY);
    ui.pan = [g.pan[0] + b[0] - a[0], g.pan[1] + b[1] - a[1]];
    return paintAll();
  }
  const [x, y] = toPhoto(e);
  if (g.kind === "empty") return band(g, x, y);
  const next = dragged(g, e, x, y);
  g.last = next;
  doc = D.withKeypoints(doc, doc.selected, next);
  paint();
  if (g.touch) showLoupe(e, g.kind === "joint" ? next[g.joint] : [x, y]);
  askLive();
});

function dragged(g, e, x, y) {
  const first = D.selectedKp(g.start), mode = e.shiftKey ? K.ONE : ui.mode;
  const options = { ...dragOptions(e), mode };
  const base = mode === K.LENGTHS ? g.last : first;  // fixed bones keep the bend they have now
  if (g.kind === "hips") {
    const [hx, hy] = K.hipCentre(first);
    return K.dragHips(first, hx + x - g.x, hy + y - g.y, options);
  }
  if (g.kind === "bone") return K.dragBone(first, g.bone, x - g.x, y - g.y, options);
  if (g.kind === "joint") {
    const next = K.drag(base, g.joint, x + g.offset[0], y + g.offset[1], options);
    return next[g.joint][3] ? next : A.setState(next, [g.joint], SK.VISIBLE);
  }
  const joints = [...ui.marked];
  if (g.kind === "marked") return K.move(first, joints, x - g.x, y - g.y, size());
  const [l, t, r, b] = g.box, middle = [(l + r) / 2, (t + b) / 2];
  if (g.kind === "rotate") {
    const from = Math.atan2(g.y - middle[1], g.x - middle[0]), step = Math.PI / 12;
    const turn = Math.atan2(y - middle[1], x - middle[0]) - from;
    const angle = e.shiftKey ? Math.round(turn / step) * step : turn;
    return K.transform(first, joints, middle, { angle, size: size() });
  }
  const fixed = e.altKey ? middle : [[r, b], [l, b], [l, t], [r, t]][g.grip];
  const sx = (x - fixed[0]) / (g.x - fixed[0] || 1), sy = (y - fixed[1]) / (g.y - fixed[1] || 1);
  const factors = e.shiftKey ? [sx, sy] : [(sx + sy) / 2, (sx + sy) / 2];
  const scale = factors.map((factor) => clamp(factor, 0.05, 20));
  return K.transform(first, joints, fixed, { scale, size: size() });
}

function band(g, x, y) {
  const box = [Math.min(x, g.x), Math.min(y, g.y), Math.max(x, g.x), Math.max(y, g.y)];
  setBox(el.band, box);
  el.band.style.display = "block";
  ui.marked = new Set(kp() ? K.inside(kp(), box) : []);
  paint();
}

function endPointer(e) {
  fingers.delete(e.pointerId);
  if (pinch) { if (fingers.size < 2) pinch = null; return; }
  const g = gesture;
  if (!g || (g.id !== e.pointerId && g.kind !== "tap")) return;
  if (e.type === "pointercancel") return cancelGesture();
  endGesture();
  if (g.kind === "tap" || (g.kind === "empty" && !g.moved)) return tapEmpty(g);
  if (g.kind === "empty") return paintAll(), say(ui.marked.size + " joints selected");
  if (g.kind === "pan") return;
  if (!g.moved) return g.kind === "joint" ? clickJoint(g.joint, e) : undefined;
  commit(doc, g.kind === "joint" ? "move" : g.kind);
  say(g.kind === "joint" ? SK.describe(kp(), g.joint) : "Moved");
}
el.svg.addEventListener("pointerup", endPointer);
el.svg.addEventListener("pointercancel", endPointer);

function tapEmpty(g) {
  const other = g.kind === "tap" ? g.other : D.personAt(doc, g.x, g.y);
  ui.marked.clear();
  if (other >= 0 && other !== doc.selected) return choosePerson(other);
  paintAll();
}

function clickJoint(joint, e) {
  const twice = tap.joint === joint && e.timeStamp - tap.time < 400;
  tap = twice ? { joint: -1, time: 0 } : { joint, time: e.timeStamp };
  if (kp()[joint][3] === SK.HIDDEN) { tap.joint = -1; cycle(joint); }
  else if (twice && ELBOWS_AND_KNEES.includes(joint)) flip(joint);
  trigger("select", { index: [doc.selected, joint], value: SK.NAMES[joint] });
}

function endGesture() {
  if (gesture) clearTimeout(gesture.hold);
  gesture = null;
  el.band.style.display = "none";
  hideLoupe();
}

// Escape, a second finger, the system, or Python: the skeleton goes back to where it was.
function cancelGesture() {
  const g = gesture;
  endGesture();
  if (!g || !g.moved || !g.start) return false;
  if (g.kind === "pan") { ui.pan = g.pan; } else { doc = g.start; askLive(); }
  paintAll();
  return true;
}

function startPinch() {
  cancelGesture();
  pinch = spread();
}
function spread() {
  const [a, b] = [...fingers.values()];
  const gap = Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
  return { gap, x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2 };
}
function movePinch() {
  if (fingers.size < 2) return;
  const now = spread(), a = toFrame(pinch.x, pinch.y), b = toFrame(now.x, now.y);
  ui.pan = [ui.pan[0] + b[0] - a[0], ui.pan[1] + b[1] - a[1]];
  zoomAt(now.x, now.y, now.gap / pinch.gap);
  pinch = now;
}

const CURSORS = {
  pan: "grab", joint: "grab", rotate: "grab", hips: "move", bone: "move", marked: "move",
  scale: "nwse-resize",
};

function hover(e) {
  if (e.pointerType === "touch") return;
  const kind = ui.tool === "pan" ? "pan" : pick(e).kind;
  el.svg.style.cursor = CURSORS[kind] || (ui.tool === "box" ? "crosshair" : "");
}

el.svg.addEventListener("contextmenu", (e) => {
  if (gesture && gesture.touch) return e.preventDefault();  // a long press is ours
  const hit = pick(e), joint = hit.kind === "joint" ? hit.joint : jointOf(e.target);
  if (joint < 0 || busyText()) return;
  e.preventDefault();
  if (e.pointerType === "touch") return;
  activate(joint, true);
  cycle(joint);
});
