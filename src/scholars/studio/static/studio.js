// The studio's page. It uses the HTTP API only.
import { chooseScholar, isScholar } from "./change.js";
import { classifyFirstImage, clear } from "./classify.js";
import { showDreams } from "./dreams.js";
import { follow } from "./job.js";
import { byId, known } from "./page.js";
import { review } from "./review.js";
import { showScholar } from "./scholar.js";
import { chooseZip } from "./teach.js";

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  const files = [...event.dataTransfer.files];
  const archive = files.find((file) => /\.zip$/i.test(file.name));
  if (archive && (await isScholar(archive))) {
    chooseScholar(archive);
    byId("merging").scrollIntoView({ block: "nearest" });
  } else if (archive) chooseZip(archive);
  else if (files.length > 1) review(files);
  else classifyFirstImage(files);
});

clear();
try {
  const scholar = await showScholar();
  Object.assign(known, { endings: scholar.image_endings, parts: scholar.part_names });
  showDreams();
  // A page that was opened again shows what is still being learned.
  for (const id of scholar.jobs) await follow(id);
} catch (error) {
  byId("about").textContent = error.message;
}
