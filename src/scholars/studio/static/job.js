// A job: begin it, follow it, show how it goes; then the new generation, beside the dreams before.
import { classifyAgain } from "./classify.js";
import { fetchDreams, fillDreams, showDreams } from "./dreams.js";
import { accuracy, byId, count, make, requestJson } from "./page.js";
import { showScholar } from "./scholar.js";

// Ask the studio for a job of this kind, and follow it. Says ``words`` until it answers.
export async function begin(kind, words, path, options) {
  open(kind);
  byId("notes").replaceChildren();
  byId("compare").hidden = true;
  byId("progress").value = 0;
  byId("job-status").textContent = words;
  setBusy(true);
  try {
    const before = await fetchDreams(30, 0).catch(() => []);
    const job = await requestJson(path, { method: "POST", ...options });
    await follow(job.id, before);
  } catch (error) {
    byId("job-status").textContent = error.message;
  }
  setBusy(false);
}

// Show a job until it has finished; then the new generation, beside the dreams before.
export function follow(id, before = []) {
  setBusy(true);
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
  }).finally(() => setBusy(false));
}

// A job is shown in the section that begins jobs of its kind.
function open(kind) {
  const section = byId(kind === "learn" ? "teach" : "change").parentElement;
  if (byId("job").parentElement !== section) section.append(byId("job"));
  byId("job").hidden = false;
}

function setBusy(busy) {
  for (const button of document.querySelectorAll("[data-begins]")) button.disabled = busy;
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

const TITLES = {
  learn: (name) => name,
  merge: (name) => `Merging with ${name}`,
  forget: (name) => `Forgetting ${name}`,
  rename: (name) => `Renaming ${name}`,
};

function showJob({ kind, name, state, progress, outcome, error, notes }) {
  open(kind);
  const title = TITLES[kind](name);
  const learns = kind === "learn";
  byId("progress").value = state === "done" ? 1 : progress ? progress.step / progress.steps : 0;
  byId("job-status").textContent = {
    waiting: `${title} is waiting for its turn.`,
    learning: `${title}: ${progress ? describe(progress) : learns ? "reading the images" : "reading the scholar"}`,
    done:
      outcome &&
      (learns
        ? `${title} is learned: generation ${outcome.generation}, ${accuracy(outcome, outcome.tested)}.`
        : `${title} is done: generation ${outcome.generation} knows ${count(outcome.classes, "class", "classes")}.`),
    failed: learns ? `${title} was not learned: ${error}` : `${title} was not done: ${error}`,
  }[state];
  byId("notes").replaceChildren(...notes.map((note) => make("li", note)));
}
