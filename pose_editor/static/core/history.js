// Undo and redo of one photo's people. The histories outlive the component's mount, because an
// inactive tab takes the editor off the page.
const PoseHistory = (() => {
  const STEPS = 200, MERGE_MS = 700, KEPT = 16;
  // In the page the script runs once per mount: the map has to live on the page itself.
  const home = globalThis, slot = Symbol.for("reposedm.pose-history");
  const histories = home[slot] ??= new Map();

  // Joints as text (small, and nothing can change it later), foreign fields by reference.
  // Rounded as the committed value is, so that its echo from Python is the same step.
  const round = (key, value) => (typeof value === "number" ? Math.round(value * 100) / 100 : value);
  const step = (doc) => ({
    text: JSON.stringify([doc.selected, doc.people.map((person) => person.keypoints)], round),
    extras: doc.people.map((person) => person.extras),
  });
  const equal = (a, b) => a.text === b.text && a.extras.every((extra, i) =>
    extra === b.extras[i] || JSON.stringify(extra) === JSON.stringify(b.extras[i]));
  const photo = (doc) => JSON.stringify([doc.image?.path ?? doc.image, doc.width, doc.height]);

  class History {
    constructor() { this.stack = []; this.at = -1; this.photo = ""; this.forgetTag(); }
    forgetTag() { this.tag = null; this.time = 0; }
    get empty() { return this.at < 0; }
    get steps() { return this.stack.length; }
    get canUndo() { return this.at > 0; }
    get canRedo() { return this.at < this.stack.length - 1; }
    reset(doc) {
      this.stack = [step(doc)];
      this.at = 0;
      this.photo = photo(doc);
      this.forgetTag();
    }
    push(doc, tag = null, now = Date.now()) {
      if (this.empty) { this.reset(doc); return true; }
      const next = step(doc);
      if (equal(next, this.stack[this.at])) return false;
      const merged = tag !== null && tag === this.tag && now - this.time < MERGE_MS;
      if (!merged) this.at++;
      this.stack.length = this.at; // what was undone is gone once something new is done
      this.stack.push(next);
      if (this.stack.length > STEPS + 1) { this.stack.shift(); this.at--; }
      this.tag = tag;
      this.time = now;
      return true;
    }
    server(doc) {
      if (this.empty || this.photo !== photo(doc)) { this.reset(doc); return "reset"; }
      return this.push(doc) ? "step" : "same";
    }
    go(doc, by) {
      this.forgetTag();
      if (!this.stack[this.at + by]) return null;
      this.at += by;
      const { text, extras } = this.stack[this.at], [selected, all] = JSON.parse(text);
      return { ...doc, selected, people: all.map((keypoints, i) => ({ keypoints, extras: extras[i] })) };
    }
    undo(doc) { return this.go(doc, -1); }
    redo(doc) { return this.go(doc, 1); }
  }

  function open(id) {
    const history = histories.get(id) ?? new History();
    histories.delete(id);
    histories.set(id, history); // the least recently used one is the first to go
    if (histories.size > KEPT) histories.delete(histories.keys().next().value);
    return history;
  }
  return { open, STEPS };
})();
if (typeof module !== "undefined") module.exports = PoseHistory;
