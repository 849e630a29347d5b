// The reading page: files in, answers and pictures out.
import { answerOf, meaningOf, told } from "./answer.js";
import { example } from "./api.js";
import { DicomAnswers } from "./dicom.js";
import { byId, element } from "./elements.js";
import { Images } from "./images.js";
import { showList, showSelected } from "./list.js";
import { Models } from "./models.js";
import { Verdicts } from "./verdicts.js";
import { Viewer } from "./viewer.js";

const BLINDED = "blinded";

function showAnswer(images, model) {
  const item = images.current;
  byId("answer").replaceChildren(...(item ? answerOf(item, model, images.hides(item), images.isReplaced(item)) : [element("p", { class: "hint", text: "Predictions appear here." })]));
  byId("meaning").replaceChildren(...(item ? meaningOf(item, images.hides(item)) : []));
}

// For those who hear the page: what has been answered, and what is looked at.
function announce(item, model, images) {
  const { short, warnings = [] } = item ? told(item, model, images.hides(item), images.isReplaced(item)) : {};
  byId("live").textContent = item ? [`${item.name}: ${short}`, ...warnings].join(", ") : "";
}

function takeFiles(images) {
  byId("chooser").addEventListener("change", (event) => {
    images.add(event.target.files);
    event.target.value = "";
  });
  let depth = 0;
  const within = (by) => {
    depth = Math.max(0, depth + by);
    document.body.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", () => within(1));
  addEventListener("dragleave", () => within(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    within(-depth);
    images.add(event.dataTransfer.files);
  });
  byId("clear").addEventListener("click", () => images.clear());
  byId("order").addEventListener("change", ({ target }) => images.orderBy(target.value));
  byId("next").addEventListener("click", () => images.nextToRead());
  byId("example").addEventListener("click", () => showExample(images));
}

async function showExample(images) {
  byId("hint").textContent = "Drawing the example…";
  try {
    images.add([await example()], { isSynthetic: true });
    byId("stage").focus(); // the button is gone
  } catch (error) {
    byId("hint").textContent = error.message;
  }
}

function takeBlinding(images) {
  const box = byId("blinded");
  box.checked = sessionStorage.getItem(BLINDED) === "true";
  images.blind(box.checked);
  box.addEventListener("change", () => {
    sessionStorage.setItem(BLINDED, String(box.checked));
    images.blind(box.checked);
  });
}

function takeKeys(images, viewer, verdicts) {
  const actions = {
    ArrowLeft: () => images.step(-1),
    ArrowUp: () => images.step(-1),
    ArrowRight: () => images.step(1),
    ArrowDown: () => images.step(1),
    o: () => viewer.toggle(),
    m: () => viewer.nextMethod(),
    r: () => viewer.nextLayer(),
    "[": () => viewer.fade(-5),
    "]": () => viewer.fade(5),
    n: () => images.nextToRead(),
    ...Object.fromEntries([1, 2, 3, 0].map((number) => [number, () => verdicts.choose(number)])),
  };
  addEventListener("keydown", (event) => {
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const usesArrows = event.key.startsWith("Arrow") && event.target.matches("input[type=range], input[type=radio], select");
    if (!action || usesArrows || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=text], #key")) return;
    if (event.key.startsWith("Arrow") && !images.items.length) return;
    event.preventDefault();
    action();
  });
}

function describe({ model, challenger }) {
  const kept = model.keeps_uploads;
  const images = kept ? "This service stores the images that you send" : "Images are not stored";
  byId("privacy").textContent = `${images}${model.stores_verdicts ? "; verdicts are, with file names" : ""}.`;
  byId("privacy").classList.toggle("stores", kept || model.stores_verdicts);
  const counts = Object.values(model.calibration.validation_images).reduce((sum, n) => sum + n, 0);
  byId("model").textContent = `Model: ${model.source}, ${model.digest.slice(0, 12)}, calibrated on ${counts} images`;
  byId("challenger").hidden = !challenger;
  if (challenger) byId("challenger").textContent = `Challenger: ${challenger.source}, ${challenger.digest.slice(0, 12)}`;
}

function sayChanged(by, former, digest) {
  byId("changed").textContent = `The ${by} has changed: ${digest.slice(0, 12)} answers now, in place of ${former.slice(0, 12)}. Images marked “former model” were answered before; select one to have it answered anew.`;
}

async function start() {
  let models;
  try {
    models = await Models.load();
  } catch (error) {
    byId("hint").textContent = error.message;
    return;
  }
  const { model } = models;
  describe(models);
  models.addEventListener("change", ({ detail: { by, former } }) => {
    describe(models);
    sayChanged(by, former, models[by].digest);
  });
  for (const id of ["example", "example-told"]) byId(id).hidden = false;
  const images = new Images(models);
  const viewer = new Viewer(images, model);
  const verdicts = new Verdicts(images, model);
  new DicomAnswers(images);
  for (const what of ["list", "select", "answer", "preview", "verdict"]) {
    images.addEventListener(what, () => showList(images, model, verdicts.names));
  }
  for (const what of ["list", "select"]) images.addEventListener(what, () => showSelected(images));
  for (const what of ["list", "select", "answer", "verdict"]) images.addEventListener(what, () => showAnswer(images, model));
  for (const what of ["select", "answer", "verdict"]) images.addEventListener(what, ({ detail: item }) => announce(item, model, images));
  takeBlinding(images);
  takeFiles(images);
  takeKeys(images, viewer, verdicts);
  document.body.dataset.ready = "true";
}

start();
