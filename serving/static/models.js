// The models that answer, as the service describes them: anew once an answer comes from another one.
import { describeModel } from "./api.js";

export class Models extends EventTarget {
  constructor(model, challenger) {
    super();
    this.model = model;
    this.challenger = challenger;
  }

  static async load() {
    const model = await describeModel();
    return new Models(model, model.challenger && await describeModel("challenger"));
  }

  // Whether `digest` is the model that answers by now. If it is another than the described one, that is described anew.
  async isPresent(digest, by) {
    if (digest !== this[by].digest) await this.describe(by);
    return digest === this[by].digest;
  }

  // The description stays the same object, so that the whole page has the new one.
  async describe(by) {
    const made = await describeModel(by);
    const former = this[by].digest;
    if (made.digest === former) return;
    Object.assign(this[by], made, { challenger: this[by].challenger }); // the page has as many models as it began with
    this.dispatchEvent(new CustomEvent("change", { detail: { by, former } }));
  }
}
