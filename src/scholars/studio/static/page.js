// Helpers of the page: elements, numbers, requests.

export const byId = (id) => document.getElementById(id);

export function make(tag, text = "", properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  element.textContent = text;
  return element;
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const count = (number, singular, plural) => `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;

// The accuracy on a task's test images, with the mean over its classes where they have different numbers of them.
export function accuracy({ accuracy: share, mean_class_accuracy: mean, test_counts: counts }, images) {
  if (share === null) return "no test images";
  const uneven = new Set(counts.filter((number) => number > 0)).size > 1;
  const classes = uneven ? ` (mean over classes ${percent(mean)})` : "";
  return `accuracy ${percent(share)}${classes} on ${count(images, "test image", "test images")}`;
}

export async function requestJson(path, options) {
  const response = await fetch(path, options);
  const json = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(typeof json.detail === "string" ? json.detail : `the studio answered with status ${response.status}`);
  }
  return json;
}

// What the studio reads and says about files: endings of images, and names that folders of parts have, not of classes.
export const known = { endings: [], parts: [] };

// The scholar that is shown, as the studio describes it.
export const served = {};

// The images among some files, and how many others there are that nobody hid.
export function splitFiles(files) {
  const seen = files.filter((file) => !(file.webkitRelativePath || file.name).split("/").some((part) => part.startsWith(".")));
  const images = seen.filter((file) => known.endings.some((ending) => file.name.toLowerCase().endsWith(ending)));
  return [images, seen.length - images.length];
}
