// Classify what is drawn, chosen, photographed, dropped or pasted; keep images and classify them by later generations.
import { byId, make, percent, requestJson } from "./page.js";

const board = byId("board");
const pen = board.getContext("2d", { willReadFrequently: true });
const pins = [];
let drawing = false;
let busy = false;
// The newest of the images that came while another was being classified.
let queued = null;
let shown = null;
// Counts the inputs: a response that comes after a newer input is not shown.
let input = 0;

function beginInput() {
  input += 1;
  queued = null;
  byId("hint").hidden = true;
}

const background = () => (byId("dark").checked ? "#000" : "#fff");

export function clear() {
  beginInput();
  pen.fillStyle = background();
  pen.fillRect(0, 0, board.width, board.height);
  pen.strokeStyle = byId("dark").checked ? "#fff" : "#000";
  pen.lineWidth = 22;
  pen.lineCap = pen.lineJoin = "round";
  byId("given").hidden = true;
  byId("hint").hidden = false;
  showMessage("No image yet");
}
byId("clear").addEventListener("click", clear);
byId("dark").addEventListener("change", clear);

let photosFirst = false;

// Ask for photos rather than drawings: of a scholar that learned photos.
export function offerPhotos() {
  if (photosFirst) return;
  photosFirst = true;
  byId("classifying").prepend(byId("choosing"));
  byId("choosing").classList.add("first");
  byId("hint").textContent = "or draw here";
  byId("dark").checked = false;
  if (!drawing && !shown && byId("given").hidden) clear();
}

function position(event) {
  const box = board.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * board.width, ((event.clientY - box.top) / box.height) * board.height];
}

board.addEventListener("pointerdown", (event) => {
  beginInput();
  byId("given").hidden = true;
  board.setPointerCapture(event.pointerId);
  drawing = true;
  pen.beginPath();
  pen.moveTo(...position(event));
  pen.lineTo(...position(event));
  pen.stroke();
});
board.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  pen.lineTo(...position(event));
  pen.stroke();
  classifyDrawing();
});
for (const name of ["pointerup", "pointercancel"]) {
  board.addEventListener(name, () => {
    if (drawing) classifyDrawing();
    drawing = false;
  });
}

// The drawing as MNIST has its digits: it fits into 20 of 28 pixels, with its centre of mass in the middle.
function centredDrawing() {
  const { data } = pen.getImageData(0, 0, board.width, board.height);
  const paper = byId("dark").checked ? 0 : 255;
  let [left, top, right, bottom, mass, x, y] = [board.width, board.height, -1, -1, 0, 0, 0];
  for (let row = 0; row < board.height; row += 1) {
    for (let column = 0; column < board.width; column += 1) {
      const ink = Math.abs(data[4 * (row * board.width + column)] - paper);
      if (ink > 20) {
        left = Math.min(left, column); right = Math.max(right, column);
        top = Math.min(top, row); bottom = Math.max(bottom, row);
        mass += ink; x += ink * column; y += ink * row;
      }
    }
  }
  if (mass === 0) return null;
  const [width, height, side] = [right - left + 1, bottom - top + 1, 140];
  const scale = (side * 20) / 28 / Math.max(width, height);
  const canvas = make("canvas", "", { width: side, height: side });
  const context = canvas.getContext("2d");
  context.fillStyle = background();
  context.fillRect(0, 0, side, side);
  context.setTransform(scale, 0, 0, scale, side / 2 - (scale * x) / mass, side / 2 - (scale * y) / mass);
  context.drawImage(board, left, top, width, height, left, top, width, height);
  return canvas;
}

function classifyDrawing() {
  const [canvas, of] = [centredDrawing(), input];
  if (canvas) canvas.toBlob((blob) => of === input && classify(blob), "image/png");
}

async function classify(blob) {
  if (busy) {
    queued = blob;
    return;
  }
  busy = true;
  const of = input;
  try {
    const prediction = await requestJson("/predict?top=5", { method: "POST", body: blob });
    if (of === input) showPrediction(prediction, blob);
  } catch (error) {
    if (of === input) showMessage(error.message);
  }
  busy = false;
  if (queued) {
    const next = queued;
    queued = null;
    classify(next);
  }
}

function showMessage(text) {
  shown = null;
  byId("verdict").textContent = text;
  byId("guesses").replaceChildren();
  byId("pin").hidden = true;
}

function showPrediction(prediction, blob) {
  shown = blob;
  const note = prediction.unfamiliar ? [make("small", "unlike anything that it learned")] : [];
  byId("verdict").replaceChildren(prediction.guesses[0].class, ...note);
  byId("guesses").replaceChildren(
    ...prediction.guesses.map((guess) => {
      const meter = make("meter", "", { value: guess.probability, max: 1, ariaLabel: `probability of ${guess.class}` });
      const item = make("li");
      item.append(make("span", guess.class), meter, make("span", percent(guess.probability)));
      return item;
    }),
  );
  byId("pin").hidden = false;
}

function classifyFile(file) {
  if (!file) return;
  beginInput();
  const of = input;
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    if (of !== input) return;
    byId("given").src = reader.result;
    byId("given").hidden = false;
  });
  reader.readAsDataURL(file);
  classify(file);
}
for (const id of ["file", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    classifyFile(event.target.files[0]);
    event.target.value = "";
  });
}

export const classifyFirstImage = (files) => classifyFile([...files].find((file) => file.type.startsWith("image/")));
document.addEventListener("paste", (event) => classifyFirstImage(event.clipboardData.files));

byId("pin").addEventListener("click", () => {
  const item = make("li");
  item.append(make("img", "", { src: URL.createObjectURL(shown), alt: "a kept image" }));
  byId("pinned").append(item);
  pins.push({ blob: shown, item, last: "" });
  return classifyPins();
});

// Add to each kept image what the present generation predicts, if that is new.
async function classifyPins() {
  for (const pin of pins) {
    const { generation, guesses } = await requestJson("/predict?top=1", { method: "POST", body: pin.blob });
    const text = `generation ${generation}: ${guesses[0].class}, ${percent(guesses[0].probability)}`;
    if (pin.last !== text) pin.item.append(make("div", text));
    pin.last = text;
  }
}

// Classify the image that is shown and the kept ones by another generation.
export function classifyAgain() {
  if (shown) classify(shown);
  return classifyPins();
}
