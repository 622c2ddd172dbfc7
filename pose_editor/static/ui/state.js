// The document, its history, and the one way in and out: commit() tells Python, load() listens.
const K = PoseKinematics, A = PoseActions, D = PoseDocument, SK = PoseSkeleton;
const SVG = "http://www.w3.org/2000/svg";
const el = {};
for (const node of element.querySelectorAll("[data-el]")) el[node.getAttribute("data-el")] = node;
// A copy without Gradio's proxies, which can neither be cloned nor kept.
const plain = (value) => (value === undefined ? null : JSON.parse(JSON.stringify(value)));
const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
const memory = "reposedm." + (props.memory || "pose-editor");

let doc = D.empty();
const past = PoseHistory.open(memory);
const ui = {
  tool: "move", mode: K.FOLLOW, active: -1, marked: new Set(),
  zoom: 1, pan: [0, 0], letters: false, onion: false,
};
let gesture = null;
let waiting = "";          // why this page itself is locked (an upload in flight)
let lockTimer = 0;

const kp = () => D.selectedKp(doc);
const source = () => D.sourceKp(doc);
const size = () => [doc.width, doc.height];
const busyText = () => waiting || (props.busy === true ? "Working" : props.busy || "");

// Most of what is painted is as it was, and reading an attribute costs far less than writing it.
function set(node, attributes, text = null) {
  for (const name in attributes) {
    const value = String(attributes[name]);
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  if (text !== null) node.textContent = text;
  return node;
}
const make = (tag, attributes = {}, text = null) =>
  set(document.createElement(tag), attributes, text);
const draw = (tag, attributes = {}, text = null) =>
  set(document.createElementNS(SVG, tag), attributes, text);

function say(text, bad = false) {
  el.status.textContent = text;
  el.status.classList.toggle("pe-bad", bad);
}

function lock(text, ms = 0) {
  clearTimeout(lockTimer);
  waiting = text;
  if (text && ms) lockTimer = setTimeout(() => lock(""), ms);
  paintBusy();
}

// While a pointer is down the document changes freely; Python hears of it once, at the end.
function commit(next, action, tag = null) {
  if (busyText()) return false;
  next = D.round(next);
  if (!past.push(next, tag)) { doc = next; paint(); return false; }
  publish(next, action);
  return true;
}

function publish(next, action) {
  doc = next;
  props.value = plain(doc);
  trigger("input", { action });
  el.offer.hidden = true;
  remember();
  paintAll();
  askLive();
}

const edit = (next, action, tag) =>
  next && commit(D.withKeypoints(doc, doc.selected, next), action, tag);

function travel(step, word) {
  const next = busyText() ? null : past[step](doc);
  if (!next) return say("Nothing to " + step);
  const sources = next.people.map((person, i) => doc.sources[i] || person);
  publish({ ...next, sources }, step);
  say(word);
}

function choosePerson(index) {
  if (index === doc.selected || !doc.people[index]) return;
  ui.active = -1;
  ui.marked.clear();
  if (!commit({ ...doc, selected: index }, "person")) return;
  trigger("select", { index: [index, -1], value: "person " + (index + 1) });
  say("Person " + (index + 1) + " of " + doc.people.length + " selected");
}

// Python set the value: a drag in flight is void, and the change is one step of the history.
function load() {
  const { doc: next, problems } = D.read(plain(props.value));
  const before = doc;
  cancelGesture();
  lock("");
  doc = next;
  if (past.server(doc) === "reset") { ui.active = -1; ui.marked.clear(); }
  const photo = ({ width, height, image }) => [width, height, image && image.url].join();
  if (photo(before) !== photo(doc)) {
    fitView();
    showWarped("");
    say("");
  }
  setHref(el.photo, doc.image && doc.image.url);
  offerMemory();
  paintAll();
  askLive();
  if (problems.length) say(problems.join(" "), true);
}

// An address is shown only if it is a picture in itself or a file of this very server.
function isPicture(url) {
  if (/^data:image\/(png|jpeg|webp);base64,/.test(url)) return true;
  try {
    const { protocol, host } = new URL(url, location.href);
    return /^https?:$/.test(protocol) && host === location.host;
  } catch (error) { return false; }
}

function setHref(image, url) {
  if (url && isPicture(url)) image.setAttribute("href", url);
  else image.removeAttribute("href");
}

// The browser remembers the pose, never the photo. Storage may be forbidden (private mode, iframe).
function stored(name, value) {
  try {
    const key = memory + "." + name;
    if (value === undefined) return JSON.parse(localStorage.getItem(key));
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch (error) { /* nothing is remembered, nothing breaks */ }
  return null;
}

let remembered = stored("pose");

function remember() {
  remembered = null;
  stored("pose", { width: doc.width, height: doc.height, people: [{ keypoints: kp() }] });
}

function offerMemory() {
  el.offer.hidden = !remembered || past.steps > 1;
}

function restoreMemory() {
  const old = D.read(remembered).doc;
  if (!old.people.length) return say("The remembered pose cannot be read.", true);
  takePose(old, 0, "restore");
  say("Your last pose is back");
}

// A pose from elsewhere: as it is on a photo of its own size, else fitted to this person's body.
function takePose(other, index, action, proportions = 0) {
  const pose = other.people[index].keypoints;
  if (!kp()) return newPerson(other, pose, action);
  const exact = other.width === doc.width && other.height === doc.height;
  const body = source() || kp(), options = { proportions, size: size() };
  const next = exact ? pose : PoseRetarget.retarget(pose, body, options);
  if (!next) return say("This pose has too few joints to fit to the person.", true);
  edit(next, action);
}

function newPerson(other, pose, action) {
  const base = doc.image ? doc : { ...doc, width: other.width, height: other.height };
  const exact = base.width === other.width && base.height === other.height && other.width !== 1000;
  const next = D.addPerson(base, exact ? pose : A.fit(pose, [base.width, base.height]));
  fitView();
  commit({ ...next, sources: next.people }, action);
}

// Live preview: at most one question in flight, the newest pose next, only newer answers shown.
const live = {
  on: props.live_preview !== false, number: Date.now(), shown: 0, asked: 0, again: false,
  lost: 0, timer: 0,
};

const untouched = () => JSON.stringify(kp()) === JSON.stringify(source());

function askLive() {
  if (!live.on || !doc.image || !kp()) return;
  if (untouched()) {  // the photo itself is the best picture of it
    live.shown = live.number;
    live.again = false;
    return showWarped("");
  }
  if (live.asked) { live.again = true; return; }
  const { width, height, selected } = doc;
  live.asked = ++live.number;
  live.again = false;
  live.timer = setTimeout(() => {
    live.lost += 1;
    live.asked = 0;
    if (live.lost >= 3) toggleLive();  // nobody answers: a button that does nothing is no use
    else if (live.again) askLive();
  }, 8000);
  const person = D.round(doc).people[selected];
  trigger("preview", { number: live.asked, width, height, selected, person });
}

function hearLive() {
  const answer = plain(props.live) || {};
  if (answer.number === live.asked) { clearTimeout(live.timer); live.asked = 0; live.lost = 0; }
  if (live.on && answer.number > live.shown) {
    live.shown = answer.number;
    showWarped(answer.url || "");
  }
  if (live.again && !live.asked) askLive();
}

function showWarped(url) {
  setHref(el.warped, url);
}
