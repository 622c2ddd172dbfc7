// Last: wire what is left, and show what Python sent.
el.opacity.addEventListener("input", () => el.photos.setAttribute("opacity", el.opacity.value));
for (const box of element.querySelectorAll("[data-show]"))
  box.addEventListener("change", () => {
    ui[box.getAttribute("data-show")] = box.checked;
    paintAll();
  });

if (!live.on) element.querySelector("[data-toggle]").hidden = true;
wireLoupe();
buildMarks();
doc = D.read(plain(props.value)).doc;
if (past.empty || past.server(doc) === "reset") past.reset(doc);
setHref(el.photo, doc.image && doc.image.url);
offerMemory();
paintAll();
buildGallery();

// Joints keep their screen size when the page, an accordion or a phone turns.
new ResizeObserver(() => { if (el.svg.clientWidth) paintAll(); }).observe(el.stage);
watch("value", load);
watch("live", hearLive);
watch("busy", () => { cancelGesture(); if (!props.busy) lock(""); paintBusy(); });
watch("presets", buildGallery);
