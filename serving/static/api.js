// Requests to the service. What is refused for a while is asked again, as often as the service says it may help.
import { currentKey, newKey } from "./key.js";

const TRIES = 6;

export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

async function ask(path, { body, signal, type } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const key = currentKey();
    let response;
    try {
      response = await fetch(path, { method: body ? "POST" : "GET", body, signal, headers: { ...(type && { "Content-Type": type }), ...(key && { Authorization: `Bearer ${key}` }) } });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused({ detail: "The service cannot be reached. Is it running? Then try again." });
    }
    if (response.ok) return response;
    if (response.status === 401 && await newKey(key)) continue;
    const problem = await response.json().catch(() => ({ detail: `The service answered ${response.status}.` }));
    const wait = Number(response.headers.get("Retry-After"));
    if (!wait || attempt === TRIES) throw new Refused(problem);
    await pause(Math.min(wait, 60), signal);
  }
}

function form(files) {
  const body = new FormData();
  for (const file of files) body.append("files", file, file.name);
  return body;
}

export const describeModel = async (by = "model") => (await ask(`/model?by=${by}`)).json();

// The answers for files, in their order; those that cannot be read have the reason.
export async function predict(files, by = "model") {
  try {
    const { model, answers } = await (await ask(`/predict?by=${by}`, { body: form(files) })).json();
    return answers.map((answer) => ({ ...answer, model }));
  } catch (error) {
    if (error instanceof Refused) return error.problem.files ?? files.map((file) => ({ name: file.name, error: error.message }));
    throw error;
  }
}

// A synthetic image to try the page with, as a file.
export async function example() {
  return new File([await (await ask("/example")).blob()], "synthetic example.png", { type: "image/png" });
}

export const storeVerdict = async (verdict) => (await ask("/verdicts", { body: JSON.stringify(verdict), type: "application/json" })).json();

// The digest of the model that made an answer.
const maker = (response) => response.headers.get("X-Model");

export async function preview(file) {
  const response = await ask("/preview", { body: form([file]) });
  return { blob: await response.blob(), model: maker(response) };
}

async function picture(path, file, signal) {
  const response = await ask(path, { body: form([file]), signal });
  const told = (name) => response.headers.get(`X-Map-${name}`);
  return { blob: await response.blob(), model: maker(response), area: told("Area").split(",").map(Number), label: told("Label"), maximum: Number(told("Maximum")), seconds: Number(told("Seconds")) };
}

export const residual = (file, of, by) => picture(`/residuals?format=png&of=${of}&by=${by}`, file);

async function dicom(path, file) {
  const response = await ask(path, { body: form([file]) });
  const [, name] = response.headers.get("Content-Disposition").match(/filename="(.+)"/);
  return { blob: await response.blob(), model: maker(response), name };
}

export const dicomReport = (file) => dicom("/report", file);

export const dicomMap = (file, method, label) => dicom(`/explain?format=dicom&method=${method}&label=${label}`, file);

export const explain = (file, method, label, by, signal) => picture(`/explain?format=png&method=${method}&label=${label}&by=${by}`, file, signal);
