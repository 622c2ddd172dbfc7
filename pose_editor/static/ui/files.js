// Photos and poses from files, poses into files. Python's one parser reads every pose.
const TEXT_LIMIT = 256 * 1024, PNG_LIMIT = 30e6;
const CHUNK = "reposedm-pose";

function note(text) {
  el.note.textContent = text;
  if (text) { say(text, true); el.filePanel.open = true; }
}

async function importText(text) {
  note("");
  el.choice.hidden = true;
  if (!text.trim()) return note("There is nothing to import: paste pose JSON, or choose a file.");
  if (new Blob([text]).size > TEXT_LIMIT) return note("More than 256 KB: that is not a pose.");
  const answer = await server.parse_pose([text, doc.width, doc.height]).catch(() => null);
  if (!answer) return note("The app could not be reached; try again.");
  if (answer.error) return note(answer.error);
  const other = D.read(answer).doc;
  if (!other.people.length) return note("The file holds nobody.");
  el.text.value = "";
  usePeople(other);
}

// Everybody, when the file belongs to this photo; else one pose for the selected person.
function usePeople(other) {
  const n = other.people.length, same = other.width === doc.width && other.height === doc.height;
  if (!doc.people.length && (same || !doc.image)) {
    fitView();
    commit({ ...other, image: doc.image, sources: other.people, selected: 0 }, "import");
  } else if (same && n === doc.people.length) {
    commit({ ...doc, people: other.people }, "import");
  } else {
    takePose(other, 0, "import", +el.proportions.value);
    if (n > 1) offerPeople(other);
  }
  say("Pose imported" + (n > 1 ? ", " + n + " people in the file" : ""));
}

function offerPeople(other) {
  el.choice.hidden = false;
  el.choice.replaceChildren(...other.people.map((person, i) => {
    const button = make("button", { type: "button" }, "Person " + (i + 1));
    button.addEventListener("click", () => takePose(other, i, "import", +el.proportions.value));
    return button;
  }));
}

// ---- PNG: the map as a picture, the pose as text inside it ------------------------------------
const CRC = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
const crc = (bytes) => ~bytes.reduce((c, b) => CRC[(c ^ b) & 255] ^ (c >>> 8), -1) >>> 0;

function withText(png, key, text) {
  const body = new TextEncoder().encode("iTXt" + key + "\0\0\0\0\0" + text);
  const chunk = new Uint8Array(body.length + 8), numbers = new DataView(chunk.buffer);
  numbers.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  numbers.setUint32(body.length + 4, crc(body));
  const head = 33;  // signature and IHDR
  return [png.slice(0, head), chunk, png.slice(head)];
}

// Our own text chunk, else the first that holds JSON, whoever wrote it; "" without one.
function textOf(png) {
  const data = new DataView(png.buffer, png.byteOffset, png.byteLength);
  let found = "";
  if (png.length < 45 || data.getUint32(0) !== 0x89504e47) return "";
  for (let at = 8; at + 12 <= png.length;) {
    const length = data.getUint32(at), type = String.fromCharCode(...png.subarray(at + 4, at + 8));
    const body = png.subarray(at + 8, Math.min(at + 8 + length, png.length));
    at += length + 12;
    if ((type === "iTXt" || type === "tEXt") && length <= TEXT_LIMIT + 200) {
      let start = body.indexOf(0) + 1;  // after the keyword; iTXt: flag, method, two more texts
      if (type === "iTXt" && body[start]) continue;  // compressed
      if (type === "iTXt") start = body.indexOf(0, body.indexOf(0, start + 2) + 1) + 1;
      const text = new TextDecoder().decode(body.subarray(start));
      if (!/^\s*[{[]/.test(text)) continue;
      if (new TextDecoder().decode(body.subarray(0, body.indexOf(0))) === CHUNK) return text;
      found = found || text;
    }
  }
  return found;
}

function savePng() {
  const poses = doc.people.map((person) => person.keypoints);
  const picture = PoseMap.render(poses, size());
  const canvas = make("canvas", { width: picture.width, height: picture.height });
  const pixels = new ImageData(picture.data, picture.width, picture.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  canvas.toBlob(async (blob) => {
    const png = new Uint8Array(await blob.arrayBuffer());
    const parts = withText(png, CHUNK, JSON.stringify(D.toEditorJson(doc)));
    download("pose.png", "image/png", new Blob(parts));
  }, "image/png");
}

// ---- files from disk, drop and paste --------------------------------------------------------
const isJson = (file) => file.type === "application/json" || /\.json$/i.test(file.name);
const isPhoto = (file) =>
  file.type.startsWith("image/") || /\.(heic|heif|avif|tiff?|bmp)$/i.test(file.name);

async function poseIn(file) {
  if (isJson(file)) return file.size > TEXT_LIMIT ? "x".repeat(TEXT_LIMIT + 1) : file.text();
  if (file.type !== "image/png" || file.size > PNG_LIMIT) return "";
  return textOf(new Uint8Array(await file.arrayBuffer()));
}

async function importFile(file) {
  const text = await poseIn(file);
  if (!text) return note("This file holds no pose: choose pose JSON, or a map saved here.");
  await importText(text);
}

async function takeFile(file) {
  if (!file) return;
  if (busyText()) return say("Wait a moment, then try again: " + busyText() + ".", true);
  if (isJson(file)) return importFile(file);
  if (!isPhoto(file)) return say("Drop a photo, or a pose file (.json). This is neither.", true);
  lock("Reading the photo", 60000);
  const sent = await upload(file).catch(() => null);
  if (!sent || !sent.path) {
    lock("");
    return say("The photo could not be uploaded. Is it too large?", true);
  }
  const { path, url } = sent, meta = { _type: "gradio.FileData" };
  const image = { path, url, orig_name: file.name, mime_type: file.type || null, meta };
  props.value = { ...D.empty(), image };
  trigger("upload", { name: file.name });
  // The app answers with a new value. If it refuses the photo instead, the old one stays.
  setTimeout(() => {
    const now = plain(props.value);
    if (waiting && now && now.image && now.image.path === path) props.value = plain(doc);
    if (!props.busy) lock(waiting, 2500);
  }, 2500);
}

el.stage.addEventListener("dragover", (e) => {
  e.preventDefault();
  el.stage.classList.add("pe-over");
});
el.stage.addEventListener("dragleave", () => el.stage.classList.remove("pe-over"));
el.stage.addEventListener("drop", (e) => {
  e.preventDefault();
  e.stopPropagation();
  el.stage.classList.remove("pe-over");
  takeFile(e.dataTransfer.files[0]);
});
element.addEventListener("paste", (e) => {
  const file = e.clipboardData.files[0], text = e.clipboardData.getData("text");
  if (e.target.matches("input, textarea") || !(file || /^\s*[{[]/.test(text))) return;
  e.preventDefault();
  if (file) takeFile(file); else importText(text);
});
for (const [input, take] of [[el.file, importFile], [el.photoFile, takeFile]])
  input.addEventListener("change", () => {
    const file = input.files[0];
    input.value = "";
    if (file) take(file);
  });
