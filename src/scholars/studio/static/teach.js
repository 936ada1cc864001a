// Teach a task: send a zip file or a folder, follow the job, compare the dreams before and after.
import { classifyAgain } from "./classify.js";
import { fetchDreams, fillDreams, showDreams } from "./dreams.js";
import { accuracy, byId, count, known, make, requestJson, splitFiles } from "./page.js";
import { showScholar } from "./scholar.js";

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

byId("teaching").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("job").hidden = false;
  byId("notes").replaceChildren();
  byId("compare").hidden = true;
  byId("progress").value = 0;
  if (!upload) {
    byId("job-status").textContent = "Choose a zip file or a folder first.";
    return;
  }
  byId("start").disabled = true;
  byId("job-status").textContent = "Sending the images ...";
  try {
    const before = await fetchDreams(30, 0).catch(() => []);
    const path = `/tasks?name=${encodeURIComponent(byId("task").value)}`;
    const job = await requestJson(path, { method: "POST", body: upload });
    await follow(job.id, before);
  } catch (error) {
    byId("job-status").textContent = error.message;
  }
  byId("start").disabled = false;
});

// Show a job until it has finished; then the new generation, beside the dreams before.
export function follow(id, before = []) {
  byId("job").hidden = false;
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/jobs/${id}`);
    events.addEventListener("message", (event) => {
      const job = JSON.parse(event.data);
      showJob(job);
      if (job.state !== "done" && job.state !== "failed") return;
      events.close();
      (job.state === "done" ? showNewGeneration(before) : Promise.resolve()).then(resolve, reject);
    });
    events.addEventListener("error", () => {
      byId("job-status").textContent = "The studio does not answer; it may have been closed.";
      events.close();
      resolve();
    });
  });
}

async function showNewGeneration(before) {
  await showScholar();
  await Promise.all([showDreams(), classifyAgain()]);
  fillDreams(byId("before"), before, false);
  fillDreams(byId("after"), await fetchDreams(30, 0).catch(() => []), false);
  byId("compare").hidden = before.length === 0;
}

// A backbone looks at images, not in steps.
const describe = ({ stage, step, steps }) =>
  stage === "features" ? `features, ${step} of ${steps} images` : `${stage}, step ${step} of ${steps}`;

function showJob({ name, state, progress, outcome, error, notes }) {
  byId("progress").value = state === "done" ? 1 : progress ? progress.step / progress.steps : 0;
  byId("job-status").textContent = {
    waiting: `${name} is waiting for its turn.`,
    learning: progress ? `${name}: ${describe(progress)}` : `${name}: reading the images`,
    done: outcome && `${name} is learned: generation ${outcome.generation}, ${accuracy(outcome, outcome.tested)}.`,
    failed: `${name} was not learned: ${error}`,
  }[state];
  byId("notes").replaceChildren(...notes.map((note) => make("li", note)));
}
