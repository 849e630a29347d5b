// The answers of two models to one image, side by side.
import { element, percent } from "./elements.js";

const listed = (labels, names) => labels.map((label) => names[label]).join(", ") || "none";

// Whether both models have answered, and differently.
export function differ({ answer, challenger }) {
  return Boolean(answer && !answer.error && challenger && !challenger.error && answer.predicted !== challenger.predicted);
}

function cell(answer, label, name, whose) {
  if (!answer) return element("td", { text: "…" });
  const value = answer.probabilities[label];
  const isInSet = answer.prediction_set.includes(label);
  return element("td", { class: isInSet ? "in-set" : "" }, element("span", { class: "value", text: percent(value) }),
    element("meter", { min: 0, max: 1, value, "aria-label": `Probability of ${name}, ${whose}` }),
    isInSet && element("span", { class: "set", text: "not ruled out" }));
}

const row = (name, ...cells) => element("tr", {}, element("th", { scope: "row", text: name }), ...cells);

function differences(one, other, names) {
  const found = [];
  const say = (what, first, second) => first !== second && found.push(`${what}: ${first}; challenger: ${second}.`);
  say("Prediction", names[one.predicted], names[other.predicted]);
  say("Not ruled out", listed(one.prediction_set, names), listed(other.prediction_set, names));
  say("Out of distribution", one.out_of_distribution ? "yes" : "no", other.out_of_distribution ? "yes" : "no");
  return found;
}

function summary(one, other, names) {
  if (one.model === other.model) return element("p", { class: "small", text: "The challenger is the same model at the moment." });
  const [furthest] = Object.keys(names).sort((a, b) => gap(b) - gap(a));
  function gap(label) { return Math.abs(one.probabilities[label] - other.probabilities[label]); }
  const apart = `Their probabilities differ most for ${names[furthest]}: ${percent(one.probabilities[furthest])}; challenger: ${percent(other.probabilities[furthest])}.`;
  const found = differences(one, other, names);
  if (!found.length) return element("p", { class: "small", text: `Both models agree in prediction, prediction set and warning. ${apart}` });
  return element("p", { class: "flag", text: `The models disagree. ${found.join(" ")} ${apart}` });
}

export function comparison({ answer, challenger }, model) {
  const names = model.classes;
  if (challenger?.error) return [element("p", { class: "flag bad", text: `The challenger has no answer: ${challenger.error}` })];
  const both = [[answer, "model"], [challenger, "challenger"]];
  const head = element("tr", {}, element("td"), element("th", { scope: "col", text: "Model" }), element("th", { scope: "col", text: "Challenger" }));
  const text = (of) => both.map(([one]) => element("td", { text: one ? of(one) : "…" }));
  const table = element("table", { class: "both" }, element("caption", { class: "unseen", text: "Answers of both models" }),
    element("thead", {}, head),
    element("tbody", {},
      ...Object.entries(names).map(([label, name]) => row(name, ...both.map(([one, whose]) => cell(one, label, name, whose)))),
      row("Prediction", ...text((one) => names[one.predicted])),
      row("Reader", ...text((one) => (one.abstained ? "needed" : "not needed"))),
      row("Out of distribution", ...text((one) => (one.out_of_distribution ? "yes" : "no")))));
  return [table, challenger ? summary(answer, challenger, names) : element("p", { class: "small", text: "Waiting for the challenger…" })];
}
