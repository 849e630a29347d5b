// The image with its overlay, once for each model.
import { paintMap, paintRamp } from "./colours.js";
import { byId } from "./elements.js";
import { Replaced } from "./images.js";

const METHODS = { grad_cam: "Grad-CAM", occlusion: "Occlusion", integrated_gradients: "Integrated gradients", perturbation: "Meaningful perturbation" };
const LUNGS = { healthy: "healthy lungs", pneumonia: "lungs with pneumonia" };
// The elements of a pane, by the model that answers.
const PANES = {
  model: { pane: "pane", frame: "frame", picture: "picture", overlay: "overlay" },
  challenger: { pane: "pane-challenger", frame: "frame-challenger", picture: "picture-challenger", overlay: "overlay-challenger" },
};

// What a residual image shows.
const residualTold = (of) => `Autoencoder trained on ${LUNGS[of]}. Bright: not reconstructed, so unlike the ${LUNGS[of]} it was trained on. Dark: reconstructed.`;

export class Viewer {
  constructor(images, model) {
    this.images = images;
    this.model = model;
    this.layer = null; // a residual in place of the X-ray
    this.maps = {};
    this.answering = model.challenger ? ["model", "challenger"] : ["model"];
    for (const method of model.methods) byId("method").add(new Option(METHODS[method] ?? method, method));
    byId("method").value = model.default_method;
    for (const [label, name] of Object.entries(model.classes)) byId("label").add(new Option(name, label));
    paintRamp(byId("ramp"));
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    byId("opacity").addEventListener("input", () => this.fade());
    for (const id of ["shown", "method", "label"]) byId(id).addEventListener("change", () => this.overlay());
    for (const of of Object.keys(LUNGS)) byId(`show-${of}`).addEventListener("click", () => this.showLayer(this.layer === of ? null : of));
    images.addEventListener("select", () => this.show());
    images.addEventListener("select", () => this.renew());
    images.addEventListener("list", () => this.show());
    for (const what of ["answer", "preview", "residuals", "verdict"]) {
      images.addEventListener(what, (event) => event.detail === images.current && this.show());
    }
    for (const { picture, frame } of Object.values(PANES)) {
      byId(picture).addEventListener("load", ({ target }) => byId(frame).style.setProperty("--ratio", target.naturalWidth / target.naturalHeight));
    }
    document.body.classList.toggle("compares", Boolean(model.challenger));
    byId("pane-challenger").hidden = !model.challenger;
    if (model.challenger) byId("residuals-title").textContent = "Residual images of the model";
    this.fade();
  }

  // The answer of a model that has been replaced is asked for again.
  renew() {
    const item = this.images.current;
    if (!item) return;
    for (const by of this.images.replaced(item)) this.images.renew(item, by).catch((error) => this.fail(item, error));
  }

  show() {
    const item = this.images.current;
    const answered = item?.answer && !item.answer.error;
    if (item !== this.shown) this.layer = null;
    this.shown = item;
    const isHidden = this.images.hides(item);
    if (answered) this.images.preview(item).catch((error) => this.fail(item, error));
    if (answered && !isHidden) {
      this.images.residuals(item).catch((error) => this.fail(item, error));
    }
    byId("hint").hidden = Boolean(item?.preview);
    for (const id of ["example", "example-told"]) byId(id).hidden = Boolean(item);
    byId("hint").textContent = !item ? "No image yet." : item.answer?.error ? "Nothing to show: this file cannot be read." : "Reading…";
    const residuals = !isHidden && item?.residuals.model;
    byId("residuals").hidden = !residuals;
    if (residuals) for (const of of Object.keys(LUNGS)) this.showResidual(item, of);
    this.showLayer(this.layer);
    this.overlay();
  }

  showResidual(item, of) {
    byId(`residual-${of}`).src = item.residuals.model[of];
    byId(`residual-${of}`).alt = `Residual image of ${item.name}. ${residualTold(of)}`;
    byId(`told-${of}`).textContent = residualTold(of);
  }

  showLayer(layer) {
    const item = this.images.current;
    this.layer = layer;
    for (const by of this.answering) {
      if (layer) this.images.residuals(item, by).catch((error) => this.fail(item, error));
      this.showPicture(item, by);
    }
    byId("caption").hidden = !layer;
    byId("caption").textContent = layer ? residualTold(layer) : "";
    for (const of of Object.keys(LUNGS)) byId(`show-${of}`).setAttribute("aria-pressed", String(layer === of));
    this.place();
  }

  showPicture(item, by) {
    const picture = byId(PANES[by].picture);
    const source = this.layer ? item?.residuals[by]?.[this.layer] : item?.preview;
    const whose = this.model.challenger ? `, ${by}` : "";
    picture.hidden = !source;
    if (source && picture.getAttribute("src") !== source) picture.src = source;
    picture.alt = !item ? "" : this.layer ? `Residual image of ${item.name}${whose}. ${residualTold(this.layer)}` : `${item.isSynthetic ? "Synthetic image" : "X-ray"} ${item.name}${whose}`;
  }

  nextLayer() {
    if (this.images.current?.residuals.model) this.showLayer({ null: "healthy", healthy: "pneumonia", pneumonia: null }[this.layer]);
  }

  // Ask for the maps that the controls want, unless they are there or on their way.
  async overlay() {
    const item = this.images.current;
    const [method, label] = [byId("method").value, byId("label").value];
    const wanted = item?.preview && byId("shown").checked && !this.images.hides(item) ? [item, method, label, item.version] : [];
    if (wanted.length && this.wanted?.every((one, i) => one === wanted[i])) {
      if (this.answering.every((by) => this.maps[by])) byId("busy").hidden = true; // what failed before is asked again
      return this.place();
    }
    this.asking?.abort();
    this.maps = {};
    byId("map-told").textContent = "evidence";
    this.place();
    byId("busy").hidden = true;
    this.wanted = wanted.length ? wanted : null;
    if (!this.wanted) return undefined;
    const asking = new AbortController();
    this.asking = asking;
    this.say(item, `${METHODS[method] ?? method}…`, "");
    try {
      await Promise.all(this.answering.map((by) => this.map(by, item, method, label, asking.signal)));
      if (!asking.signal.aborted) byId("busy").hidden = true;
    } catch (error) {
      if (asking.signal.aborted) return undefined;
      this.wanted = null; // may be tried again
      this.fail(item, error);
    }
    return undefined;
  }

  async map(by, item, method, label, signal) {
    const map = await this.images.map(item, method, label, signal, by);
    if (signal.aborted) return;
    this.maps[by] = map;
    paintMap(byId(PANES[by].overlay), map.bitmap);
    const told = this.answering.filter((one) => this.maps[one]).map((one) => this.evidence(one));
    byId("map-told").textContent = told.join("; ");
    this.place();
  }

  evidence(by) {
    const { maximum, label } = this.maps[by];
    const name = this.model.classes[label];
    const whose = by === "challenger" ? "challenger: " : "";
    return whose + (maximum > 0 ? `evidence for ${name}` : `no evidence found for ${name}`);
  }

  // What was replaced is asked for anew, with its answer.
  fail(item, error) {
    if (!(error instanceof Replaced)) this.say(item, error.message);
  }

  say(item, text, kind = "bad") {
    if (item !== this.images.current) return;
    byId("busy").textContent = text;
    byId("busy").className = `busy ${kind}`;
    byId("busy").hidden = false;
  }

  // A map lies over the part of the image that the networks saw; a residual is that part.
  place() {
    for (const by of this.answering) {
      const canvas = byId(PANES[by].overlay);
      const map = this.maps[by];
      canvas.hidden = !map || byId(PANES[by].picture).hidden || !byId("shown").checked;
      if (canvas.hidden) continue;
      const [left, top, right, bottom] = this.layer ? [0, 0, 1, 1] : map.area;
      canvas.style.left = `${100 * left}%`;
      canvas.style.top = `${100 * top}%`;
      canvas.style.width = `${100 * (right - left)}%`;
      canvas.style.height = `${100 * (bottom - top)}%`;
    }
  }

  fade(by = 0) {
    const slider = byId("opacity");
    if (by) slider.value = Number(slider.value) + by;
    for (const { overlay } of Object.values(PANES)) byId(overlay).style.opacity = slider.value / 100;
    byId("opacity-told").textContent = `${slider.value}%`;
  }

  toggle() {
    byId("shown").checked = !byId("shown").checked;
    this.overlay();
  }

  nextMethod() {
    const select = byId("method");
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    this.overlay();
  }
}
