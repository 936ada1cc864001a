// Teach a task: choose a zip file or a folder, name the task, send it.
import { begin } from "./job.js";
import { byId, count, known, splitFiles } from "./page.js";

let upload = null;
let suggestedName = "";

export function chooseZip(file) {
  if (file) choose(file, file.name.replace(/\.zip$/i, ""), `${file.name}, ${Math.ceil(file.size / 1000).toLocaleString("en")} KB`);
}
byId("zip").addEventListener("change", (event) => chooseZip(event.target.files[0]));
byId("folder").addEventListener("change", (event) => {
  const [files, others] = splitFiles([...event.target.files]);
  const leftOut = others ? `; ${count(others, "file", "files")} left out: no images that are read here (${known.endings.join(", ")})` : "";
  if (!files.length) {
    byId("chosen").textContent = `no image in this folder${leftOut}`;
    return;
  }
  const form = new FormData();
  for (const file of files) form.append("files", file, file.webkitRelativePath);
  const name = files[0].webkitRelativePath.split("/")[0];
  choose(form, name, `${count(files.length, "image", "images")} in ${name}${leftOut}`);
});

// Make a zip file, or a form of files called CLASS/FILE, what is taught next; suggest a name for the task.
export function choose(body, name, description) {
  upload = body;
  byId("chosen").textContent = description;
  const field = byId("task");
  // Replaces the name that was suggested for another upload, and none that was typed.
  if (field.value && field.value !== suggestedName) return;
  suggestedName = [...name].slice(0, field.maxLength).join("");
  field.value = suggestedName;
}

byId("teaching").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!upload) {
    byId("chosen").textContent = "Choose a zip file or a folder first.";
    return;
  }
  begin("learn", "Sending the images ...", `/tasks?name=${encodeURIComponent(byId("task").value)}`, { body: upload });
});
