// What a reader says of an image: stored by a service that keeps a table, and to download in any case.
import { storeVerdict } from "./api.js";
import { byId, element, save } from "./elements.js";

const COLUMNS = ["file", "label", "reader", "note", "read_at", "sha256", "model", "predicted", "probability", "prediction_set", "out_of_distribution", "blinded", "challenger", "challenger_predicted"];
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/; // how a cell begins that a spreadsheet would compute
const READER = "reader";
export const NOT_READABLE = "not_readable";

const oneLine = (text) => text.trim().replace(/\s+/g, " ");
const safe = (text) => (FORMULA.test(text) ? `'${text}` : text);
const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

// The row of a table, as the service writes it.
function cells(said, readAt) {
  const file = FORMULA.test(said.file) ? `./${said.file}` : said.file;
  return [file, said.label, safe(said.reader), safe(said.note), readAt, said.sha256, said.model, said.predicted,
    said.probability.toFixed(4), said.prediction_set.join(" "), String(said.out_of_distribution), String(said.blinded), said.challenger ?? "", said.challenger_predicted ?? ""];
}

const csv = (rows) => rows.map((row) => `${row.map(quoted).join(",")}\n`).join("");

export class Verdicts {
  constructor(images, model) {
    this.images = images;
    this.model = model;
    this.names = { ...model.classes, [NOT_READABLE]: "Not readable" };
    this.rows = []; // of this visit, with images that have been removed, too
    this.unsaved = false;
    const choices = Object.entries(this.names).map(([label, name], number, all) => {
      const key = number === all.length - 1 ? "0" : String(number + 1);
      return element("label", {},
        element("input", { type: "radio", name: "verdict", value: label, "aria-keyshortcuts": key }), element("span", { text: name }),
        element("kbd", { text: key, "aria-hidden": "true" }));
    });
    byId("choices").replaceChildren(...choices);
    byId("reader").value = sessionStorage.getItem(READER) ?? "";
    byId("verdict").addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    byId("verdict").addEventListener("input", () => this.say(""));
    byId("download").addEventListener("click", () => this.download());
    images.addEventListener("select", () => this.show());
    images.addEventListener("answer", ({ detail: item }) => item === images.current && this.show());
    addEventListener("beforeunload", (event) => this.unsaved && event.preventDefault());
  }

  show() {
    const item = this.images.current;
    const isRead = Boolean(item?.answer && !item.answer.error);
    byId("verdict").hidden = !isRead || item.isSynthetic;
    if (!isRead || item === this.shown) return;
    this.shown = item;
    for (const choice of this.choices()) choice.checked = choice.value === item.verdict?.label;
    byId("note").value = item.verdict?.note ?? "";
    this.say(item.verdict?.told ?? "");
  }

  choices() {
    return [...byId("choices").querySelectorAll("input")];
  }

  // By a key: choose, but do not save.
  choose(number) {
    const choice = this.choices().at(number - 1);
    if (byId("verdict").hidden || !choice) return;
    choice.checked = true;
    choice.focus();
    this.say("");
  }

  async save() {
    const item = this.images.current;
    const label = this.choices().find((choice) => choice.checked)?.value;
    if (!label) return this.say("Choose a class, or not readable.", "bad");
    const { answer } = item;
    const isBlinded = this.images.hides(item);
    const said = {
      file: answer.name, sha256: answer.sha256, label, reader: oneLine(byId("reader").value), note: oneLine(byId("note").value),
      model: answer.model, predicted: answer.predicted, probability: answer.probabilities[answer.predicted],
      prediction_set: answer.prediction_set, out_of_distribution: answer.out_of_distribution, blinded: isBlinded,
      challenger: item.challenger?.model ?? null, challenger_predicted: item.challenger?.predicted ?? null,
    };
    sessionStorage.setItem(READER, said.reader);
    let readAt = new Date().toISOString().replace("Z", "+00:00");
    let where = "Not stored by the service. Download it before you close this page.";
    let kind;
    byId("save").disabled = true;
    try {
      if (this.model.stores_verdicts) {
        readAt = (await storeVerdict(said)).read_at;
        where = "Stored by the service.";
      } else {
        this.unsaved = true;
      }
    } catch (error) {
      this.unsaved = true;
      where = `${error.message} Download it before you close this page.`;
      kind = "bad";
    } finally {
      byId("save").disabled = false;
    }
    this.rows.push(cells(said, readAt));
    item.verdict = { label, note: said.note, told: `${this.names[label]}${said.reader ? `, ${said.reader}` : ""}. ${where}` };
    byId("download").hidden = false;
    byId("download").textContent = this.rows.length === 1 ? "Download 1 verdict" : `Download ${this.rows.length} verdicts`;
    this.images.tell("verdict", item);
    if (item === this.images.current) this.say(item.verdict.told, kind);
    return undefined;
  }

  say(text, kind = "") {
    byId("verdict-told").textContent = text;
    byId("verdict-told").className = `small ${kind}`;
  }

  download() {
    const day = new Date().toISOString().slice(0, 16).replace(/[-:]/g, "");
    save(new Blob([csv([COLUMNS, ...this.rows])], { type: "text/csv" }), `verdicts-${day}.csv`);
    this.unsaved = false;
  }
}
