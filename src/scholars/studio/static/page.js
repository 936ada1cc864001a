// Helpers of the page: elements, numbers, requests.

export const byId = (id) => document.getElementById(id);

export function make(tag, text = "", properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  element.textContent = text;
  return element;
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const count = (number, singular, plural) => `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;
export const accuracy = (share, images) =>
  share === null ? "no test images" : `accuracy ${percent(share)} on ${count(images, "test image", "test images")}`;

export async function requestJson(path, options) {
  const response = await fetch(path, options);
  const json = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(typeof json.detail === "string" ? json.detail : `the studio answered with status ${response.status}`);
  }
  return json;
}
