// The answer to a DICOM file as DICOM objects of its study, to save: a structured report, and the map that is shown.
import { dicomMap, dicomReport } from "./api.js";
import { byId, save } from "./elements.js";

const MARK = "DICM"; // behind a preamble of 128 bytes (PS3.10, 7.1)

async function isDicom(file) {
  return (await file.slice(128, 132).text()) === MARK;
}

export class DicomAnswers {
  constructor(images) {
    this.images = images;
    byId("save-report").addEventListener("click", () => this.download((file) => dicomReport(file)));
    byId("save-map").addEventListener("click", () => this.download((file) => dicomMap(file, byId("method").value, byId("label").value)));
    for (const what of ["list", "select"]) images.addEventListener(what, () => this.show());
    for (const what of ["answer", "verdict"]) images.addEventListener(what, ({ detail: item }) => item === images.current && this.show());
  }

  async show() {
    const item = this.images.current;
    const isOffered = Boolean(item?.answer && !item.answer.error && !this.images.hides(item)) && await isDicom(item.file);
    if (item !== this.images.current) return;
    byId("dicom").hidden = !isOffered;
    if (item !== this.shown) this.say("");
    this.shown = item;
  }

  async download(make) {
    const item = this.images.current;
    const buttons = byId("dicom").querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    this.say("Writing…");
    try {
      const { blob, name } = await this.images.made(item, "model", () => make(item.file));
      save(blob, name);
      if (item === this.images.current) this.say(`Saved as ${name}. It names the patient.`);
    } catch (error) {
      if (item === this.images.current) this.say(error.message, "bad");
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  say(text, kind = "") {
    byId("dicom-told").textContent = text;
    byId("dicom-told").className = `small ${kind}`;
  }
}
