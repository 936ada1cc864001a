// Show the scholar and its lineage; change to another generation.
import { classifyAgain, offerPhotos } from "./classify.js";
import { expectDreams, showDreams } from "./dreams.js";
import { accuracy, byId, count, make, requestJson } from "./page.js";

// Load and show the scholar that the studio serves; return it.
export async function showScholar() {
  const scholar = await requestJson("/scholar");
  show(scholar);
  return scholar;
}

function show(scholar) {
  const { backbone, classes, generation, image, lineage } = scholar;
  byId("name").textContent = scholar.name;
  document.title = `${scholar.name} - Scholars studio`;
  byId("about").textContent =
    `Generation ${generation}: ${count(classes.length, "class", "classes")} learned in ${count(lineage.length, "task", "tasks")}, ` +
    `${image.size} x ${image.size} ${image.channels === 3 ? "colour" : "grey"} images` +
    (backbone ? `, seen by the backbone ${backbone.name} (licence: ${backbone.licence}).` : ".");
  expectDreams(backbone);
  if (backbone) offerPhotos();
  const selected = byId("class").value;
  const options = classes.map((name) => make("option", name, { value: name }));
  byId("class").replaceChildren(make("option", "all classes", { value: "" }), ...options);
  byId("class").value = classes.includes(selected) ? selected : "";
  byId("known").replaceChildren(...classes.map((name) => make("option", "", { value: name })));
  byId("timeline").replaceChildren(
    ...lineage.map((task, index) => {
      const kept = scholar.kept.find((one) => one.ancestor && one.generation === index + 1);
      return entry(`${index + 1}. ${task.name}`, describeTask(task), kept);
    }),
    ...scholar.kept
      .filter((kept) => !kept.ancestor)
      .map((kept) => entry(`${kept.generation}. ${kept.tasks.at(-1)}: kept, not in use`, "", kept, "later")),
  );
}

function describeTask(task) {
  const names = task.classes.length > 20 ? [...task.classes.slice(0, 20), `and ${task.classes.length - 20} more`] : task.classes;
  const images = count(task.train_count, "image", "images");
  return `${task.learned_at.slice(0, 10)}: ${images} of ${names.join(", ")}; ${accuracy(task, task.test_count)} when learned. `;
}

function entry(title, text, kept, className = "") {
  const item = make("li", "", { className });
  item.append(make("strong", title), text);
  if (kept) item.append(restoreButton(kept.key));
  return item;
}

function restoreButton(key) {
  const button = make("button", `Go to generation ${key}`, { type: "button" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      show(await requestJson(`/generations/${key}`, { method: "POST" }));
      await Promise.all([showDreams(), classifyAgain()]);
    } catch (error) {
      button.replaceWith(make("span", error.message, { className: "error" }));
    }
  });
  return button;
}
