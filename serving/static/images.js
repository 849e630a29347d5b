// The images of this visit: in the browser's memory alone, gone when the page is closed.
import { preview, predict, residual, explain } from "./api.js";
import { differ } from "./comparison.js";

const AT_ONCE = 8;
const TRIES = 3; // while models change
const SEEN_AT_A_GLANCE = 8; // a longer list begins with the images to read, unless the reader chooses otherwise

function rank(item, isBlinded) {
  const { answer, isSynthetic } = item;
  if (!answer) return 3;
  if (answer.error) return 4;
  if (isBlinded) return isSynthetic ? 2 : 0; // an order by answers would give them away
  if (!isSynthetic && (answer.abstained || answer.out_of_distribution)) return 0;
  return differ(item) ? 1 : 2;
}

// What `ask` promises, kept as `name` of `store`: asked for once, and again if it has failed.
function once(store, name, ask) {
  if (store[name]) return store[name];
  const asked = ask();
  store[name] = asked;
  asked.catch(() => { if (store[name] === asked) delete store[name]; });
  return asked;
}

// Another model has answered than the one that made the rest; the image has its answer now.
export class Replaced extends Error {}

const ANSWERS = { model: "answer", challenger: "challenger" }; // where an image has them, by the model

export class Images extends EventTarget {
  constructor(models) {
    super();
    this.models = models;
    this.hasChallenger = Boolean(models.challenger);
    this.items = [];
    this.current = null;
    this.order = null; // chosen by the reader
    this.isBlinded = false;
    this.work = Promise.resolve();
    models.addEventListener("change", () => this.tell("list"));
  }

  add(files, { isSynthetic = false } = {}) {
    const items = [...files].map((file) => ({ file, name: file.name, isSynthetic, maps: new Map(), residuals: {}, asked: {}, urls: [], makers: {}, renewing: {}, renewals: 0, version: 0 }));
    this.items.push(...items);
    this.tell("list");
    if (!this.current && items.length) this.select(items[0]);
    for (const chunk of this.chunks(items)) {
      this.work = this.work.then(() => this.answer(chunk)).catch((error) => console.error(error));
    }
  }

  // As many files together as the service takes; one that it would refuse alone is told so here.
  *chunks(items) {
    const most = 0.95 * this.models.model.limits.upload_bytes;
    let chunk = [];
    let bytes = 0;
    for (const item of items) {
      if (item.file.size > most) {
        const limit = Math.round(this.models.model.limits.upload_bytes / 2 ** 20);
        item.answer = { name: item.name, error: `larger than the ${limit} MiB that the service accepts` };
        this.tell("answer", item);
        continue;
      }
      if (chunk.length === Math.min(AT_ONCE, this.models.model.limits.files) || bytes + item.file.size > most) {
        yield chunk;
        chunk = [];
        bytes = 0;
      }
      chunk.push(item);
      bytes += item.file.size;
    }
    if (chunk.length) yield chunk;
  }

  async answer(chunk) {
    const wanted = chunk.filter((item) => this.items.includes(item));
    if (!wanted.length) return;
    await this.ask(wanted, "model");
    for (const item of wanted) {
      if (!item.answer.error && this.items.includes(item)) await this.preview(item).catch(() => {}); // asked again once selected
    }
    if (this.hasChallenger) await this.challenge(wanted.filter((item) => !item.answer.error && this.items.includes(item)));
  }

  async challenge(items) {
    if (items.length) await this.ask(items, "challenger");
  }

  async ask(items, by) {
    const answers = await this.predict(items, by);
    items.forEach((item, i) => this.take(item, by, answers[i]));
  }

  // Answers of the model that is described, with its calibration: they keep it when another model has replaced it.
  async predict(items, by) {
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const answers = await predict(items.map((item) => item.file), by);
      const { model } = answers[0];
      if (!model) return answers;
      const isPresent = await this.models.isPresent(model, by).catch(() => false);
      if (isPresent) return answers.map((answer) => ({ ...answer, calibration: this.models[by].calibration }));
    }
    return items.map(({ name }) => ({ name, error: "the service's model is being replaced; choose the file again in a minute" }));
  }

  // What the image has of another model goes.
  take(item, by, answer) {
    if (item.makers[by] && item.makers[by] !== answer.model) this.forget(item, by);
    item.makers[by] = answer.model;
    item[ANSWERS[by]] = answer;
    if (this.items.includes(item)) this.tell("answer", item);
  }

  forget(item, by) {
    item.version += 1;
    for (const key of [...item.maps.keys()]) if (key.startsWith(`${by} `)) item.maps.delete(key);
    delete item.residuals[by];
    delete item.asked[by];
    if (by === "model") item.asked.preview = item.preview = null;
  }

  // Which of the models have been replaced since they answered.
  replaced(item) {
    return Object.keys(ANSWERS).filter((by) => !item[ANSWERS[by]]?.error && item.makers[by] && item.makers[by] !== this.models[by].digest);
  }

  isReplaced(item) {
    return this.replaced(item).length > 0;
  }

  // Ask for the answer again; until it is there, the former one stays.
  renew(item, by) {
    item.renewing[by] ??= this.askAgain(item, by).finally(() => { delete item.renewing[by]; });
    return item.renewing[by];
  }

  async askAgain(item, by) {
    item.renewals += 1;
    const [answer] = item.renewals > TRIES ? [{ error: "several models answer in turn; select the image again later" }] : await this.predict([item], by);
    if (answer.error) throw new Error(`The model has changed, and there is no new answer yet: ${answer.error}`);
    this.forget(item, by);
    this.take(item, by, answer);
  }

  // What `ask` makes of an image, if by the model that has answered it. If not, the image is answered anew first.
  async made(item, by, ask) {
    const before = item.makers[by];
    const made = await ask();
    const isOutdated = (before && before !== item.makers[by]) || !this.items.includes(item);
    if (!isOutdated) {
      item.makers[by] ??= made.model;
      if (made.model === item.makers[by]) return made;
      await this.models.isPresent(made.model, by);
      await this.renew(item, by);
    }
    throw new Replaced("The model has changed, and the answer with it. Look at the new answer, then try again.");
  }

  preview(item) {
    return once(item.asked, "preview", async () => {
      item.preview = this.url(item, (await this.made(item, "model", () => preview(item.file))).blob);
      this.tell("preview", item);
    });
  }

  residuals(item, by = "model") {
    return once(item.asked, by, async () => {
      const made = await Promise.all(["healthy", "pneumonia"].map(async (of) => [of, await this.made(item, by, () => residual(item.file, of, by))]));
      if (made.some(([, { model }]) => model !== item.makers[by])) throw new Replaced(); // between the two
      item.residuals[by] = Object.fromEntries(made.map(([of, { blob }]) => [of, this.url(item, blob)]));
      this.tell("residuals", item);
    });
  }

  async map(item, method, label, signal, by) {
    const key = `${by} ${method} ${label}`;
    if (!item.maps.has(key)) {
      const made = await this.made(item, by, () => explain(item.file, method, label, by, signal));
      const map = { ...made, bitmap: await createImageBitmap(made.blob) };
      if (made.model !== item.makers[by]) throw new Replaced(); // meanwhile
      item.maps.set(key, map);
    }
    return item.maps.get(key);
  }

  select(item) {
    this.current = item;
    if (item) item.renewals = 0;
    this.tell("select", item);
  }

  // As they were added, or those first that need a reader, then those on which the models differ, and the unreadable last.
  ordered() {
    return this.orderNow() === "added" ? this.items : [...this.items].sort((one, other) => rank(one, this.isBlinded) - rank(other, this.isBlinded));
  }

  orderNow() {
    return this.order ?? (this.items.length > SEEN_AT_A_GLANCE ? "read" : "added");
  }

  orderBy(order) {
    this.order = order;
    this.tell("list");
  }

  isToRead(item) {
    return rank(item, this.isBlinded) === 0 && !item.verdict;
  }

  // Whether the answer is kept from a reader who has not given a verdict yet.
  hides(item) {
    return Boolean(this.isBlinded && item?.answer && !item.answer.error && !item.isSynthetic && !item.verdict && !item.wasShown);
  }

  blind(isBlinded) {
    this.isBlinded = isBlinded;
    this.tell("list");
  }

  step(by) {
    const items = this.ordered();
    const next = items[items.indexOf(this.current) + by];
    if (next) this.select(next);
  }

  // The next one, after the current one or from the beginning, that needs a reader and has no verdict.
  nextToRead() {
    const items = this.ordered();
    const place = items.indexOf(this.current) + 1;
    const next = [...items.slice(place), ...items.slice(0, place)].find((item) => this.isToRead(item));
    if (next) this.select(next);
  }

  clear() {
    for (const item of this.items) item.urls.forEach((url) => URL.revokeObjectURL(url));
    this.items = [];
    this.select(null);
    this.tell("list");
  }

  // An address of a picture; one of an image that has been removed meanwhile is not kept.
  url(item, blob) {
    if (!this.items.includes(item)) return null;
    const url = URL.createObjectURL(blob);
    item.urls.push(url);
    return url;
  }

  tell(what, item) {
    this.dispatchEvent(new CustomEvent(what, { detail: item }));
  }
}
