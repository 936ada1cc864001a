// Change the scholar without any images: forget classes, rename one, merge with another scholar. Each after a consent to
// what cannot be undone.
import { begin } from "./job.js";
import { byId, served } from "./page.js";

const list = (names) => new Intl.ListFormat("en").format(names);
const KEPT = "This generation is kept, so that you can go back";

// Ask whether to do what is said; resolves to the answer.
function agree(words, action) {
  const dialog = byId("consent");
  byId("consent-words").textContent = words;
  byId("consent-yes").textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
byId("consent-yes").addEventListener("click", () => byId("consent").close("yes"));
byId("consent-no").addEventListener("click", () => byId("consent").close());

const json = (body) => ({ headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

byId("forgetting").addEventListener("submit", async (event) => {
  event.preventDefault();
  const classes = [...byId("forgettable").querySelectorAll("input:checked")].map((box) => box.value);
  byId("forget-status").textContent = classes.length ? "" : "Tick the classes to forget first.";
  if (!classes.length) return;
  // Memories of features are kept apart for each class. What generators learned cannot be told apart.
  const exactly = served.generator === "mixture"
    ? ""
    : " Forgetting is approximate here: dreams of other classes may still show something of what is forgotten.";
  const words = `The scholar will no longer know ${list(classes)}.${exactly} ${KEPT}; to remove it for good, use \`scholars forget --purge\` instead.`;
  if (await agree(words, "Forget")) begin("forget", "Asking the studio ...", "/forget", json({ classes }));
});

const newName = () => byId("new-name").value.trim().normalize("NFC");
const joins = (old, name) => name !== old && served.classes.includes(name);

function showJoin() {
  const [old, name] = [byId("old-name").value, newName()];
  byId("rename-status").textContent = joins(old, name) ? `The scholar knows ${name} already: both become one class.` : "";
}
for (const id of ["old-name", "new-name"]) byId(id).addEventListener("input", showJoin);

byId("renaming").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [old, name] = [byId("old-name").value, newName()];
  const words = joins(old, name)
    ? `${old} and ${name} become one class, called ${name}, which the scholar is taught anew by its dreams: it can no longer tell one from the other. ${KEPT}.`
    : `${old} will be called ${name}. ${KEPT}.`;
  if (await agree(words, "Rename")) begin("rename", "Asking the studio ...", "/rename", json({ old, new: name }));
});

let other = null;

// Whether a zip file is a scholar's: its list of files, at the end, names the description.
export const isScholar = async (file) => (await file.slice(-(2 ** 16)).text()).includes("scholar.json");

export function chooseScholar(file) {
  if (!file) return;
  other = file;
  byId("other-chosen").textContent = `${file.name}, ${Math.ceil(file.size / 1000).toLocaleString("en")} KB`;
  byId("merge-status").textContent = "";
}
byId("other").addEventListener("change", (event) => chooseScholar(event.target.files[0]));

byId("merging").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("merge-status").textContent = other ? "" : "Choose a scholar's zip file first.";
  if (!other) return;
  const words = `The scholar will be taught anew, by its own dreams and by those of the scholar in ${other.name}, and know the classes of both. Classes of one name become one. ${KEPT}.`;
  if (await agree(words, "Merge")) begin("merge", "Sending the scholar ...", "/merge", { body: other });
});
