// Show dreams: of all classes or of one, by a seed.
import { byId, make, requestJson } from "./page.js";

// Whether its dreams are pictures. Those of a scholar with a backbone are features.
let arePictures = true;

export function expectDreams(backbone) {
  arePictures = !backbone;
  for (const id of ["dreaming", "dreams"]) byId(id).hidden = !arePictures;
  if (!arePictures) byId("dream-status").textContent = "Its dreams are features of photos, which have no picture.";
}

export async function fetchDreams(count, seed, className = "") {
  if (!arePictures) return [];
  const query = new URLSearchParams({ n: count, seed });
  if (className) query.set("class", className);
  return (await requestJson(`/dreams?${query}`)).dreams;
}

export function fillDreams(list, dreams, withClass = true) {
  list.replaceChildren(
    ...dreams.map((dream) => {
      const item = make("li");
      item.append(make("img", "", { src: dream.image, alt: `a dream of ${dream.class}` }));
      if (withClass) item.append(dream.class);
      return item;
    }),
  );
}

// Counts the requests: only the response to the last one is shown.
let request = 0;

export async function showDreams() {
  if (!arePictures) return;
  request += 1;
  const of = request;
  byId("dream-status").textContent = "Dreaming ...";
  let status = "Below each dream: the class that the scholar sees in it.";
  let dreams = null;
  try {
    dreams = await fetchDreams(24, byId("seed").value || 0, byId("class").value);
  } catch (error) {
    status = error.message;
  }
  if (of !== request) return;
  if (dreams) fillDreams(byId("dreams"), dreams);
  byId("dream-status").textContent = status;
}

byId("dreaming").addEventListener("submit", (event) => {
  event.preventDefault();
  showDreams();
});
byId("more").addEventListener("click", () => {
  byId("seed").value = Number(byId("seed").value || 0) + 1;
  showDreams();
});
byId("class").addEventListener("change", showDreams);
