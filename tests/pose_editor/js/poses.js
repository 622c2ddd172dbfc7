// Shared by the tests: the core's objects, a seeded random source and poses made from it.
const path = require("node:path");
const CORE = path.join(__dirname, "../../../pose_editor/static/core");
const load = (name) => require(path.join(CORE, `${name}.js`));

function random(seed) { // mulberry32
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const SIZE = [600, 800];
const Actions = load("actions");
const standing = () => Actions.standing(SIZE);
// A standing person with every joint moved a little: nothing is symmetrical or straight.
function wild(seed, by = 60) {
  const next = random(seed);
  return standing().map(([x, y, s, v]) => [x + (next() - 0.5) * by, y + (next() - 0.5) * by, s, v]);
}
// Joints anywhere, in any state.
function anywhere(seed, [w, h] = SIZE) {
  const next = random(seed);
  return Array.from({ length: 18 }, () => [
    (next() * 1.4 - 0.2) * w, (next() * 1.4 - 0.2) * h, next(), Math.floor(next() * 3)]);
}
const near = (assert, a, b, tolerance = 1e-9, text = "") => assert.ok(
  Math.abs(a - b) <= tolerance, `${text}: ${a} is not ${b} within ${tolerance}`);
module.exports = { load, random, SIZE, standing, wild, anywhere, near };
