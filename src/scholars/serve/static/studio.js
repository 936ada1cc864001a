// The studio's page. It knows the HTTP API and nothing else of Scholars.

const at = (id) => document.getElementById(id);
const make = (tag, words = "", attributes = {}) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.textContent = words;
  return element;
};
const percent = (share) => `${(100 * share).toFixed(1)} %`;

async function asked(path, options) {
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(typeof found.detail === "string" ? found.detail : `the studio answered ${answer.status}`);
  }
  return found;
}

// --- the scholar -----------------------------------------------------------------------------------------------------

let scholar = null;

async function open() {
  show(await asked("/scholar"));
}

function show(found) {
  scholar = found;
  at("name").textContent = found.name;
  document.title = `${found.name} - Scholars studio`;
  const tasks = found.lineage.length;
  at("about").textContent =
    `Generation ${found.generation}: ${found.classes.length} classes learned in ${tasks} ${tasks === 1 ? "task" : "tasks"}, ` +
    `${found.image.size} x ${found.image.size} ${found.image.channels === 3 ? "colour" : "grey"} images.`;
  const chosen = at("class").value;
  at("class").replaceChildren(make("option", "everything", { value: "" }), ...found.classes.map((name) => make("option", name, { value: name })));
  at("class").value = found.classes.includes(chosen) ? chosen : "";
  timeline(found);
}

function timeline(found) {
  const known = found.lineage.map((task, index) => {
    const item = make("li");
    item.append(
      make("strong", `${index + 1}. ${task.name}`),
      `${task.learned_at.slice(0, 10)}; ${task.train_count.toLocaleString("en")} images of ${task.classes.join(", ")}; ` +
        `${percent(task.accuracy)} right on ${task.test_count.toLocaleString("en")} test images when learned. `,
    );
    const kept = found.kept.find((one) => one.ancestor && one.generation === index + 1);
    if (kept) item.append(back(kept));
    return item;
  });
  const later = found.kept.filter((one) => !one.ancestor).map((one) => {
    const item = make("li", "", { className: "later" });
    item.append(make("strong", `${one.generation}. ${one.tasks.at(-1)}: kept, not in use`), back(one));
    return item;
  });
  at("timeline").replaceChildren(...known, ...later);
}

function back(kept) {
  const button = make("button", `Go to generation ${kept.key}`, { type: "button" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      show(await asked(`/generations/${kept.key}`, { method: "POST" }));
      await Promise.all([dream(), again()]);
    } catch (error) {
      button.replaceWith(make("span", error.message, { className: "error" }));
    }
  });
  return button;
}

// --- asking ----------------------------------------------------------------------------------------------------------

const board = at("board");
const pen = board.getContext("2d", { willReadFrequently: true });
let drawing = false;
let asking = false;
let waiting = null;
let current = null;
// Counts what is asked about: an answer that was asked for before is of what is gone.
let sheet = 0;

function another() {
  sheet += 1;
  waiting = null;
}

function paper() {
  pen.fillStyle = at("dark").checked ? "#000" : "#fff";
  pen.fillRect(0, 0, board.width, board.height);
  pen.strokeStyle = at("dark").checked ? "#fff" : "#000";
  pen.lineWidth = 22;
  pen.lineCap = pen.lineJoin = "round";
}

function clear() {
  paper();
  another();
  at("given").hidden = true;
  at("guesses").replaceChildren();
  at("verdict").textContent = "Nothing to name yet.";
  at("pin").hidden = true;
  current = null;
}

const place = (event) => {
  const box = board.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * board.width, ((event.clientY - box.top) / box.height) * board.height];
};

board.addEventListener("pointerdown", (event) => {
  another();
  at("given").hidden = true;
  board.setPointerCapture(event.pointerId);
  drawing = true;
  pen.beginPath();
  pen.moveTo(...place(event));
  pen.lineTo(...place(event));
  pen.stroke();
});
board.addEventListener("pointermove", (event) => {
  if (drawing) {
    pen.lineTo(...place(event));
    pen.stroke();
    drawn();
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  board.addEventListener(name, () => {
    if (drawing) {
      drawing = false;
      drawn();
    }
  });
}
at("clear").addEventListener("click", clear);
at("dark").addEventListener("change", clear);

// As the digits of MNIST are: the ink fits into 20 of 28 pixels, its centre of mass in the middle.
function centred() {
  const { data } = pen.getImageData(0, 0, board.width, board.height);
  const paperValue = at("dark").checked ? 0 : 255;
  let [left, top, right, bottom, mass, x, y] = [board.width, board.height, -1, -1, 0, 0, 0];
  for (let row = 0; row < board.height; row += 1) {
    for (let column = 0; column < board.width; column += 1) {
      const ink = Math.abs(data[4 * (row * board.width + column)] - paperValue);
      if (ink > 20) {
        left = Math.min(left, column); right = Math.max(right, column);
        top = Math.min(top, row); bottom = Math.max(bottom, row);
        mass += ink; x += ink * column; y += ink * row;
      }
    }
  }
  if (mass === 0) return null;
  const side = 140;
  const scale = (side * 20) / 28 / Math.max(right - left + 1, bottom - top + 1);
  const canvas = make("canvas", "", { width: side, height: side });
  const context = canvas.getContext("2d");
  context.fillStyle = at("dark").checked ? "#000" : "#fff";
  context.fillRect(0, 0, side, side);
  context.setTransform(scale, 0, 0, scale, side / 2 - (scale * x) / mass, side / 2 - (scale * y) / mass);
  context.drawImage(board, left, top, right - left + 1, bottom - top + 1, left, top, right - left + 1, bottom - top + 1);
  return canvas;
}

function drawn() {
  const [picture, of] = [centred(), sheet];
  if (picture) picture.toBlob((blob) => of === sheet && ask(blob), "image/png");
}

// One question at a time: while one is answered, only the newest of those that come is kept.
async function ask(blob) {
  if (asking) {
    waiting = blob;
    return;
  }
  asking = true;
  const of = sheet;
  try {
    const found = await asked("/predict?top=5", { method: "POST", body: blob });
    if (of === sheet) {
      current = blob;
      answer(found);
    }
  } catch (error) {
    if (of === sheet) {
      at("verdict").textContent = error.message;
      at("guesses").replaceChildren();
      at("pin").hidden = true;
    }
  }
  asking = false;
  if (waiting) {
    const next = waiting;
    waiting = null;
    ask(next);
  }
}

function answer(found) {
  const [best] = found.guesses;
  at("verdict").replaceChildren(best.class, ...(found.unfamiliar ? [make("small", "unlike anything that it learned")] : []));
  at("guesses").replaceChildren(
    ...found.guesses.map((guess) => {
      const item = make("li");
      item.append(make("span", guess.class), make("meter", "", { value: guess.probability, max: 1 }), make("span", percent(guess.probability)));
      item.querySelector("meter").setAttribute("aria-label", `probability of ${guess.class}`);
      return item;
    }),
  );
  at("pin").hidden = false;
}

function give(file) {
  if (!file) return;
  another();
  const of = sheet;
  const reader = new FileReader();
  reader.addEventListener("load", () => {
    if (of !== sheet) return;
    at("given").src = reader.result;
    at("given").hidden = false;
  });
  reader.readAsDataURL(file);
  ask(file);
}
for (const id of ["file", "camera"]) {
  at(id).addEventListener("change", (event) => {
    give(event.target.files[0]);
    event.target.value = "";
  });
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  const archive = files.find((file) => /\.zip$/i.test(file.name));
  if (archive) chooseZip(archive);
  else give(files.find((file) => file.type.startsWith("image/")));
});
document.addEventListener("paste", (event) => give([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))));

// Images that are kept are asked about again whenever another generation answers: what does it still know?
const pins = [];
at("pin").addEventListener("click", async () => {
  if (!current) return;
  const pin = { blob: current, item: make("li"), words: [] };
  const picture = make("img", "", { alt: "an image that was kept" });
  picture.src = URL.createObjectURL(current);
  pin.item.append(picture);
  pins.push(pin);
  at("pinned").append(pin.item);
  await again();
});

async function again() {
  for (const pin of pins) {
    const found = await asked("/predict?top=1", { method: "POST", body: pin.blob });
    const words = `${found.generation}: ${found.guesses[0].class}, ${percent(found.guesses[0].probability)}`;
    if (pin.words.at(-1) !== words) {
      pin.words.push(words);
      pin.item.append(make("div", words));
    }
  }
}

// --- dreaming --------------------------------------------------------------------------------------------------------

async function dreamt(count, seed, of = "") {
  const query = new URLSearchParams({ n: count, seed });
  if (of) query.set("class", of);
  return (await asked(`/dreams?${query}`)).dreams;
}

function fill(list, dreams, named = true) {
  list.replaceChildren(
    ...dreams.map((one) => {
      const item = make("li");
      item.append(make("img", "", { src: one.image, alt: `a dream of ${one.class}` }));
      if (named) item.append(one.class);
      return item;
    }),
  );
}

// What was asked for last is shown, in whatever order the answers come.
let wish = 0;

async function dream() {
  wish += 1;
  const mine = wish;
  at("dream-words").textContent = "dreaming ...";
  let words = "Beneath each, what the scholar sees in it.";
  let dreams = null;
  try {
    dreams = await dreamt(24, at("seed").value || 0, at("class").value);
  } catch (error) {
    words = error.message;
  }
  if (mine !== wish) return;
  if (dreams) fill(at("dreams"), dreams);
  at("dream-words").textContent = words;
}
at("dreaming").addEventListener("submit", (event) => {
  event.preventDefault();
  dream();
});
at("more").addEventListener("click", () => {
  at("seed").value = Number(at("seed").value || 0) + 1;
  dream();
});
at("class").addEventListener("change", dream);

// --- teaching --------------------------------------------------------------------------------------------------------

let chosen = null;
let suggested = "";

function chooseZip(file) {
  if (!file) return;
  chosen = { body: file, name: file.name.replace(/\.zip$/i, "") };
  named(`${file.name}, ${(file.size / 1e6).toFixed(1)} MB`);
}
at("zip").addEventListener("change", (event) => chooseZip(event.target.files[0]));
at("folder").addEventListener("change", (event) => {
  const files = [...event.target.files].filter((file) => /\.(png|jpe?g|webp|bmp|tiff?|gif)$/i.test(file.name));
  if (files.length) {
    const body = new FormData();
    for (const file of files) body.append("files", file, file.webkitRelativePath);
    chosen = { body, name: files[0].webkitRelativePath.split("/")[0] };
    named(`${files.length} images in ${chosen.name}`);
  }
});

function named(words) {
  at("chosen").textContent = words;
  // What a person wrote stays; what was suggested for another upload is not this one's name.
  if (at("task").value && at("task").value !== suggested) return;
  suggested = [...chosen.name].slice(0, at("task").maxLength).join("");
  at("task").value = suggested;
}

at("teaching").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("job").hidden = false;
  at("notes").replaceChildren();
  at("compare").hidden = true;
  if (!chosen) {
    at("job-words").textContent = "Choose a zip file or a folder first.";
    return;
  }
  at("start").disabled = true;
  at("job-words").textContent = "sending the images ...";
  try {
    const before = await dreamt(30, 0).catch(() => []);
    const job = await asked(`/tasks?name=${encodeURIComponent(at("task").value)}`, { method: "POST", body: chosen.body });
    await follow(job.id, before);
  } catch (error) {
    at("job-words").textContent = error.message;
  }
  at("start").disabled = false;
});

async function taught(before) {
  await open();
  await Promise.all([dream(), again()]);
  fill(at("before"), before, false);
  fill(at("after"), await dreamt(30, 0).catch(() => []), false);
  at("compare").hidden = before.length === 0;
}

function follow(id, before) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/jobs/${id}`);
    events.addEventListener("message", async (event) => {
      const job = JSON.parse(event.data);
      tell(job);
      if (job.state === "done" || job.state === "failed") {
        events.close();
        if (job.state === "done") await taught(before).catch(reject);
        resolve();
      }
    });
    events.addEventListener("error", () => {
      at("job-words").textContent = "the studio does not answer; it may have been closed";
      events.close();
      resolve();
    });
  });
}

function tell(job) {
  const { progress } = job;
  at("progress").value = job.state === "done" ? 1 : progress ? progress.step / progress.steps : 0;
  at("job-words").textContent = {
    waiting: `${job.name} waits for its turn.`,
    learning: progress ? `${job.name}: ${progress.stage}, step ${progress.step} of ${progress.steps}` : `${job.name}: reading the images`,
    done: job.outcome && `${job.name} is learned: generation ${job.outcome.generation}, ${percent(job.outcome.accuracy)} right on ${job.outcome.tested} test images.`,
    failed: `${job.name} was not learned: ${job.error}`,
  }[job.state];
  at("notes").replaceChildren(...job.notes.map((words) => make("li", words)));
}

// A page that was closed and opened again goes on showing what is being learned.
async function resume() {
  for (const id of scholar.jobs) {
    at("job").hidden = false;
    await follow(id, []);
  }
}

clear();
open().then(() => Promise.all([dream(), resume()])).catch((error) => { at("about").textContent = error.message; });
