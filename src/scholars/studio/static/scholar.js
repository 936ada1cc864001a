// Show the scholar and its lineage; change to another generation.
import { classifyAgain, offerPhotos } from "./classify.js";
import { expectDreams, showDreams } from "./dreams.js";
import { accuracy, byId, count, make, requestJson, served } from "./page.js";

// Load and show the scholar that the studio serves; return it.
export async function showScholar() {
  const scholar = await requestJson("/scholar");
  show(scholar);
  return scholar;
}

function show(scholar) {
  Object.assign(served, scholar);
  const { backbone, classes, generation, image, lineage } = scholar;
  byId("name").textContent = scholar.name;
  document.title = `${scholar.name} - Scholars studio`;
  byId("about").textContent =
    `Generation ${generation}: ${count(classes.length, "class", "classes")} learned in ${count(lineage.filter(isTask).length, "task", "tasks")}, ` +
    `${image.size} x ${image.size} ${image.channels === 3 ? "colour" : "grey"} images` +
    (backbone ? `, seen by the backbone ${backbone.name} (licence: ${backbone.licence}).` : ".");
  expectDreams(backbone);
  if (backbone) offerPhotos();
  offer(byId("class"), classes, make("option", "all classes", { value: "" }));
  offer(byId("old-name"), classes);
  byId("known").replaceChildren(...classes.map((name) => make("option", "", { value: name })));
  byId("forgettable").replaceChildren(...classes.map(checkbox));
  showLineage(lineage, scholar.kept);
}

// Let a class be selected; the one that was selected stays so, if it is there.
function offer(select, classes, ...first) {
  const selected = select.value;
  select.replaceChildren(...first, ...classes.map((name) => make("option", name, { value: name })));
  if (classes.includes(selected)) select.value = selected;
}

function checkbox(name) {
  const label = make("label", "", { className: "check" });
  label.append(make("input", "", { type: "checkbox", value: name }), ` ${name}`);
  return label;
}

const isTask = ({ kind }) => kind === "learn";

function showLineage(lineage, kept) {
  const generations = [];
  for (const { parents } of lineage) generations.push(1 + Math.max(0, ...parents.map((parent) => generations[parent])));
  const titles = lineage.map((record, place) => `${generations[place]}. ${record.name}`);
  byId("timeline").replaceChildren(
    ...lineage.map((record, place) => {
      const text = describeRecord(record, describeParents(record.parents, place, titles));
      return entry(titles[place], text, kept.filter((one) => one.place === place));
    }),
    ...kept
      .filter((one) => one.place === null)
      .map((one) => entry(`${one.generation}. ${one.name}: kept, not in use`, "", [one], "later")),
  );
}

// Which records it came from, where that is not simply the one before.
function describeParents(parents, place, titles) {
  if (place === 0 || (parents.length === 1 && parents[0] === place - 1)) return "";
  if (!parents.length) return "Learned from nothing before. ";
  return `From ${new Intl.ListFormat("en").format(parents.map((parent) => titles[parent]))}. `;
}

function describeRecord(record, parents) {
  const date = record.learned_at.slice(0, 10);
  if (!isTask(record)) return `${date}, without images. ${parents}`;
  const { classes, train_count: trained } = record;
  const names = classes.length > 20 ? [...classes.slice(0, 20), `and ${classes.length - 20} more`] : classes;
  // Of a task of which something was forgotten it may not be known how many images are left.
  const images = trained ? `${count(trained, "image", "images")} of ` : "";
  const changed = record.accuracy === null && record.test_count > 0;
  const right = changed ? "its accuracy is not known since its classes changed" : `${accuracy(record, record.test_count)} when learned`;
  return `${date}: ${images}${names.join(", ")}; ${right}. ${parents}`;
}

function entry(title, text, kept, className = "") {
  const item = make("li", "", { className });
  item.append(make("strong", title), text, ...kept.map((one) => restoreButton(one.key)));
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
