// Zoom, pan, and the loupe. The photo fills the stage at zoom 1; the view group carries the rest.
const invert = (name, x, y) => {
  const m = onScreen(name, () => el[name].getScreenCTM().inverse());
  return [m.a * x + m.c * y + m.e, m.b * x + m.d * y + m.f];
};
const toPhoto = (e) => invert("view", e.clientX, e.clientY);
const toFrame = (x, y) => invert("svg", x, y);

function fitView() {
  ui.zoom = 1;
  ui.pan = [0, 0];
}

function zoomAt(clientX, clientY, factor) {
  const [x, y] = toFrame(clientX, clientY), zoom = clamp(ui.zoom * factor, 0.5, 16);
  ui.pan = [x - ((x - ui.pan[0]) * zoom) / ui.zoom, y - ((y - ui.pan[1]) * zoom) / ui.zoom];
  ui.zoom = zoom;
  paintAll();
}

function zoomBy(factor) {
  const box = stageBox();
  zoomAt(box.left + box.width / 2, box.top + box.height / 2, factor);
}

// A plain wheel scrolls the page; a touchpad's pinch arrives as Ctrl + wheel.
el.svg.addEventListener("wheel", (e) => {
  if (!e.ctrlKey && !e.metaKey) return;
  e.preventDefault();
  zoomAt(e.clientX, e.clientY, Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.002)));
}, { passive: false });

// The finger hides the joint: show the photo there, twice as large, above it (at the upper edge
// below). The photo only: style sheets do not reach into the copies that <use> makes.
function showLoupe(e, point) {
  const u = unit() * ui.zoom, above = e.clientY - stageBox().top > 150;
  const [x, y] = toFrame(e.clientX, e.clientY + (above ? -96 : 96));
  el.loupe.style.display = "block";
  set(el.loupe, { transform: place([x, y], u) });
  const k = (2 * ui.zoom) / u;
  set(el.copy, { transform: place([-k * point[0], -k * point[1]], k) });
}

function hideLoupe() {
  el.loupe.style.display = "none";
}

function wireLoupe() {
  const id = "pe" + Math.random().toString(36).slice(2);
  el.clip.id = id + "c";
  el.photos.id = id + "v";
  el.lens.setAttribute("clip-path", "url(#" + id + "c)");
  el.copy.setAttribute("href", "#" + id + "v");
}
