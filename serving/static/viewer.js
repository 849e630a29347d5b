// The image with its overlay.
import { paintMap, paintRamp } from "./colours.js";
import { byId } from "./elements.js";

const METHODS = { grad_cam: "Grad-CAM", occlusion: "Occlusion", integrated_gradients: "Integrated gradients", perturbation: "Meaningful perturbation" };

const LUNGS = { healthy: "healthy lungs", pneumonia: "lungs with pneumonia" };

// What a residual image shows.
const residualTold = (of) => `Autoencoder of ${LUNGS[of]}. Bright: what it does not reconstruct, so what is unlike the ${LUNGS[of]} that it has learnt. Dark: reconstructed.`;

export class Viewer {
  constructor(images, model) {
    this.images = images;
    this.model = model;
    this.layer = null; // a residual in place of the X-ray
    for (const method of model.methods) byId("method").add(new Option(METHODS[method] ?? method, method));
    byId("method").value = model.default_method;
    for (const [label, name] of Object.entries(model.classes)) byId("label").add(new Option(name, label));
    paintRamp(byId("ramp"));
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    byId("opacity").addEventListener("input", () => this.fade());
    for (const id of ["shown", "method", "label"]) byId(id).addEventListener("change", () => this.overlay());
    for (const of of Object.keys(LUNGS)) byId(`show-${of}`).addEventListener("click", () => this.showLayer(this.layer === of ? null : of));
    images.addEventListener("select", () => this.show());
    for (const what of ["answer", "preview", "residuals"]) {
      images.addEventListener(what, (event) => event.detail === images.current && this.show());
    }
    byId("picture").addEventListener("load", ({ target }) => byId("frame").style.setProperty("--ratio", target.naturalWidth / target.naturalHeight));
    this.fade();
  }

  show() {
    const item = this.images.current;
    const answered = item?.answer && !item.answer.error;
    if (item !== this.shown) this.layer = null;
    this.shown = item;
    if (answered) {
      this.images.preview(item).catch((error) => this.say(item, error.message));
      this.images.residuals(item).catch((error) => this.say(item, error.message));
    }
    byId("hint").hidden = Boolean(item?.preview);
    for (const id of ["example", "example-told"]) byId(id).hidden = Boolean(item);
    byId("hint").textContent = !item ? "No image yet." : item.answer?.error ? "Nothing to show: this file cannot be read." : "Reading…";
    byId("residuals").hidden = !item?.residuals;
    if (item?.residuals) for (const of of Object.keys(LUNGS)) this.showResidual(item, of);
    this.showLayer(this.layer);
    this.overlay();
  }

  showResidual(item, of) {
    byId(`residual-${of}`).src = item.residuals[of];
    byId(`residual-${of}`).alt = `Residual image of ${item.name}. ${residualTold(of)}`;
    byId(`told-${of}`).textContent = residualTold(of);
  }

  showLayer(layer) {
    const item = this.images.current;
    this.layer = layer;
    const source = layer ? item?.residuals?.[layer] : item?.preview;
    const picture = byId("picture");
    picture.hidden = !source;
    if (source && picture.getAttribute("src") !== source) picture.src = source;
    picture.alt = !item ? "" : layer ? `Residual image of ${item.name}. ${residualTold(layer)}` : `${item.isSynthetic ? "Synthetic image" : "X-ray"} ${item.name}`;
    byId("caption").hidden = !layer || !source;
    byId("caption").textContent = layer ? residualTold(layer) : "";
    for (const of of Object.keys(LUNGS)) byId(`show-${of}`).setAttribute("aria-pressed", String(layer === of));
    this.place();
  }

  nextLayer() {
    if (this.images.current?.residuals) this.showLayer({ null: "healthy", healthy: "pneumonia", pneumonia: null }[this.layer]);
  }

  async overlay() {
    this.asking?.abort();
    const item = this.images.current;
    this.map = null;
    this.place();
    byId("busy").hidden = true;
    if (!item?.preview || !byId("shown").checked) return;
    const asking = new AbortController();
    this.asking = asking;
    const method = byId("method").value;
    this.say(item, `${METHODS[method] ?? method}…`, "");
    try {
      const map = await this.images.map(item, method, byId("label").value, asking.signal);
      if (asking.signal.aborted || item !== this.images.current) return;
      this.map = map;
      paintMap(byId("overlay"), map.bitmap);
      byId("map-told").textContent = map.maximum > 0 ? `evidence for ${this.model.classes[map.label]}` : `no evidence for ${this.model.classes[map.label]} found`;
      byId("busy").hidden = true;
      this.place();
    } catch (error) {
      if (!asking.signal.aborted) this.say(item, error.message);
    }
  }

  say(item, text, kind = "bad") {
    if (item !== this.images.current) return;
    byId("busy").textContent = text;
    byId("busy").className = `busy ${kind}`;
    byId("busy").hidden = false;
  }

  // The map lies over the part of the image that the networks saw; a residual is that part.
  place() {
    const canvas = byId("overlay");
    canvas.hidden = !this.map || byId("picture").hidden || !byId("shown").checked;
    if (canvas.hidden) return;
    const [left, top, right, bottom] = this.layer ? [0, 0, 1, 1] : this.map.area;
    canvas.style.left = `${100 * left}%`;
    canvas.style.top = `${100 * top}%`;
    canvas.style.width = `${100 * (right - left)}%`;
    canvas.style.height = `${100 * (bottom - top)}%`;
  }

  fade(by = 0) {
    const slider = byId("opacity");
    if (by) slider.value = Number(slider.value) + by;
    byId("overlay").style.opacity = slider.value / 100;
    byId("opacity-told").textContent = `${slider.value} %`;
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
