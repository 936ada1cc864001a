// Review images that nobody has sorted: those of which the scholar is least sure come first, and a person says what they
// are. The answers become a .csv file, or a task to teach.
import { byId, count, known, make, percent, requestJson, splitFiles } from "./page.js";
import { choose } from "./teach.js";

const [SHOWN, GUESSES, AT_A_TIME] = [20, 3, 6];
// What cannot be the name of a class folder in an upload: ways to other folders, hidden folders; nor names of parts can.
const NO_FOLDER = /[/\\:]|^\.|^__MACOSX/i;

// {file, path, prediction or error, answer}; when all are looked at, the least certain first.
let photos = [];
let shown = 0;
let unsaved = false;
// Counts the choices of images: what is found out about an earlier choice is not shown.
let choice = 0;

// Look at some files, and list those of which the scholar is least sure.
export async function review(files) {
  const [images, others] = splitFiles(files);
  if (!files.length || (unsaved && !confirm("Your answers are neither downloaded nor taught. Drop them?"))) return;
  choice += 1;
  const of = choice;
  photos = images.map((file) => ({ file, path: pathInFolder(file), answer: "" }));
  unsaved = false;
  shown = 0;
  for (const picture of byId("review-list").querySelectorAll("img")) URL.revokeObjectURL(picture.src);
  for (const id of ["review-list", "review-unreadable"]) byId(id).replaceChildren();
  for (const id of ["review-more", "review-answers"]) byId(id).hidden = true;
  const leftOut = others ? `${count(others, "other file was", "other files were")} left out.` : "";
  byId("review-progress").hidden = !images.length;
  byId("review-status").textContent = images.length ? `Looking at ${count(images.length, "image", "images")} ...` : `No image is among them. ${leftOut}`;
  if (!images.length) return;
  try {
    await lookAtAll(of);
  } catch {
    if (of !== choice) return;
    byId("review-progress").hidden = true;
    byId("review-status").textContent = "The studio does not answer; it may have been closed.";
    return;
  }
  if (of !== choice) return;
  byId("review-progress").hidden = true;
  const unreadable = photos.filter((photo) => photo.error);
  photos = photos.filter((photo) => !photo.error).sort((a, b) => rank(a) - rank(b));
  byId("review-unreadable").replaceChildren(...unreadable.map(({ path, error }) => make("li", `${path}: ${error}`)));
  byId("review-status").textContent = summary(unreadable.length, leftOut);
  byId("review-answers").hidden = !photos.length;
  showAnswers();
  showMore();
}
for (const id of ["review-images", "review-folder"]) {
  byId(id).addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    review(files);
  });
}

// The file's name in the folder that was chosen: there the .csv file belongs.
const pathInFolder = (file) => file.webkitRelativePath.split("/").slice(1).join("/") || file.name;

// Ask for the predictions of all images, a few at a time; throw where the studio does not answer.
async function lookAtAll(of) {
  let [next, done] = [0, 0];
  const ask = async () => {
    while (next < photos.length && of === choice) {
      const photo = photos[next];
      next += 1;
      try {
        // Read first: a file that is gone must not look as if the studio were.
        const body = await photo.file.arrayBuffer();
        photo.prediction = await requestJson(`/predict?top=${GUESSES}`, { method: "POST", body });
      } catch (error) {
        if (error instanceof TypeError) throw error;
        photo.error = error.message;
      }
      done += 1;
      if (of === choice) byId("review-progress").value = done / photos.length;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, ask));
}

// Unfamiliar images first, then by the margin between the two best guesses, as `scholars review` has it.
function rank({ prediction: { guesses, unfamiliar } }) {
  return guesses[0].probability - (guesses[1]?.probability ?? 0) - (unfamiliar ? 2 : 0);
}

function summary(unreadable, leftOut) {
  const strange = photos.filter((photo) => photo.prediction.unfamiliar).length;
  return [
    `${count(photos.length, "image", "images")}, the least certain first.`,
    strange ? `${strange.toLocaleString("en")} of them unlike anything that it learned.` : "",
    leftOut,
    unreadable ? `${count(unreadable, "image", "images")} cannot be read:` : "",
  ].filter(Boolean).join(" ");
}

function showMore() {
  const more = photos.slice(shown, shown + SHOWN);
  shown += more.length;
  byId("review-list").append(...more.map(card));
  byId("review-more").hidden = shown === photos.length;
  byId("review-more").textContent = `Show more (${count(photos.length - shown, "image is", "images are")} left)`;
}
byId("review-more").addEventListener("click", showMore);

// One image, with buttons for the likely classes and a field for any other.
function card(photo) {
  const { file, path, prediction } = photo;
  const item = make("li");
  const buttons = prediction.guesses.map((guess) => {
    const button = make("button", `${guess.class} `, { type: "button", ariaPressed: "false" });
    button.append(make("small", percent(guess.probability)));
    button.addEventListener("click", () => answer(photo.answer === guess.class ? "" : guess.class));
    return [guess.class, button];
  });
  const field = make("input", "", { autocomplete: "off", maxLength: 80 });
  field.setAttribute("list", "known");
  field.addEventListener("change", () => answer(field.value.trim().normalize("NFC")));
  const other = make("label", "another class ");
  other.append(field);

  function answer(name) {
    photo.answer = name;
    for (const [own, button] of buttons) button.ariaPressed = String(own === name);
    field.value = buttons.some(([own]) => own === name) ? "" : name;
    item.classList.toggle("answered", name !== "");
    suggest(name);
    unsaved = photos.some((one) => one.answer);
    showAnswers();
  }

  const row = make("div", "", { className: "row" });
  row.setAttribute("role", "group");
  row.ariaLabel = `${path}: that is a`;
  row.append(make("span", "that is a", { className: "soft" }), ...buttons.map(([, button]) => button), other);
  const name = make("p", path, { className: "soft" });
  if (prediction.unfamiliar) name.append(make("small", " unlike anything that it learned", { className: "error" }));
  const words = make("div");
  words.append(name, row);
  item.append(make("img", "", { src: URL.createObjectURL(file), alt: path, loading: "lazy" }), words);
  return item;
}

// Offer the name of a new class for the other images, too.
function suggest(name) {
  const names = byId("known");
  if (name && ![...names.options].some((option) => option.value === name)) names.append(make("option", "", { value: name }));
}

const answered = () => photos.filter((photo) => photo.answer);

function showAnswers() {
  const [answers, classes] = [answered(), new Set(answered().map((photo) => photo.answer))];
  byId("review-count").textContent = answers.length
    ? `${count(answers.length, "image", "images")} answered, ${count(classes.size, "class", "classes")}`
    : "No image answered yet";
  for (const id of ["review-download", "review-teach"]) byId(id).disabled = !answers.length;
}

// A cell of a .csv file. Spreadsheets would compute a file's name that begins with one of these.
const cell = (text) => (/[",;\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const named = (path) => (/^[=+\-@]/.test(path) ? `./${path}` : path);

byId("review-download").addEventListener("click", () => {
  const lines = answered().map((photo) => `${cell(named(photo.path))},${cell(photo.answer)}\r\n`);
  // With the mark by which Excel knows UTF-8.
  const table = new Blob(["\ufefffile,label\r\n", ...lines], { type: "text/csv" });
  const link = make("a", "", { href: URL.createObjectURL(table), download: "answers.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
  unsaved = false;
});

byId("review-teach").addEventListener("click", () => {
  const answers = answered();
  const wrong = answers.find(({ answer }) => NO_FOLDER.test(answer) || known.parts.includes(answer.toLowerCase()));
  if (wrong) {
    byId("review-count").textContent = `A class called ${wrong.answer} is learned from answers.csv only: download it.`;
    return;
  }
  const form = new FormData();
  for (const { file, answer } of answers) form.append("files", file, `${answer}/${file.name}`);
  choose(form, "answers", `${count(answers.length, "answered image", "answered images")}`);
  unsaved = false;
  byId("start").focus();
});

window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
