// The images of this visit: in the browser's memory alone, gone when the page is closed.
import { preview, predict, residual, explain } from "./api.js";
import { differ } from "./comparison.js";

const AT_ONCE = 8;
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

export class Images extends EventTarget {
  constructor(limits, hasChallenger) {
    super();
    this.limits = limits;
    this.hasChallenger = hasChallenger;
    this.items = [];
    this.current = null;
    this.order = null; // chosen by the reader
    this.isBlinded = false;
    this.work = Promise.resolve();
  }

  add(files, { isSynthetic = false } = {}) {
    const items = [...files].map((file) => ({ file, name: file.name, isSynthetic, maps: new Map(), residuals: {}, asked: {}, urls: [] }));
    this.items.push(...items);
    this.tell("list");
    if (!this.current && items.length) this.select(items[0]);
    for (const chunk of this.chunks(items)) {
      this.work = this.work.then(() => this.answer(chunk)).catch((error) => console.error(error));
    }
  }

  // As many files together as the service takes; one that it would refuse alone is told so here.
  *chunks(items) {
    const most = 0.95 * this.limits.upload_bytes;
    let chunk = [];
    let bytes = 0;
    for (const item of items) {
      if (item.file.size > most) {
        const limit = Math.round(this.limits.upload_bytes / 2 ** 20);
        item.answer = { name: item.name, error: `larger than the ${limit} MiB that the service accepts` };
        this.tell("answer", item);
        continue;
      }
      if (chunk.length === Math.min(AT_ONCE, this.limits.files) || bytes + item.file.size > most) {
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
    const answers = await predict(wanted.map((item) => item.file));
    wanted.forEach((item, i) => {
      item.answer = answers[i];
      if (this.items.includes(item)) this.tell("answer", item);
    });
    for (const item of wanted) {
      if (!item.answer.error && this.items.includes(item)) await this.preview(item).catch(() => {}); // asked again once selected
    }
    if (this.hasChallenger) await this.challenge(wanted.filter((item) => !item.answer.error && this.items.includes(item)));
  }

  async challenge(items) {
    if (!items.length) return;
    const answers = await predict(items.map((item) => item.file), "challenger");
    items.forEach((item, i) => {
      item.challenger = answers[i];
      if (this.items.includes(item)) this.tell("answer", item);
    });
  }

  preview(item) {
    return once(item.asked, "preview", async () => {
      item.preview = this.url(item, await preview(item.file));
      this.tell("preview", item);
    });
  }

  residuals(item, by = "model") {
    return once(item.asked, by, async () => {
      const made = await Promise.all(["healthy", "pneumonia"].map(async (of) => [of, this.url(item, (await residual(item.file, of, by)).blob)]));
      item.residuals[by] = Object.fromEntries(made);
      this.tell("residuals", item);
    });
  }

  async map(item, method, label, signal, by) {
    const key = `${by} ${method} ${label}`;
    if (!item.maps.has(key)) {
      const made = await explain(item.file, method, label, by, signal);
      item.maps.set(key, { ...made, bitmap: await createImageBitmap(made.blob) });
    }
    return item.maps.get(key);
  }

  select(item) {
    this.current = item;
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
