// What is said of an image, in words.
import { comparison, differ } from "./comparison.js";
import { element, percent } from "./elements.js";

const SYNTHETIC = "A synthetic image: a drawing made by this program, not the X-ray of a patient. A model trained on X-rays may find it out of distribution.";
const FORMER = "Answered before the model changed. Select the image to have it answered anew.";

// In a few words, and warnings.
export function told(item, model, isHidden, isReplaced) {
  const { answer } = item;
  if (!answer) return { short: "waiting…" };
  if (answer.error) return { short: answer.error, kind: "bad" };
  if (isHidden) return { short: "answer hidden" };
  const warnings = [isReplaced && "former model", item.isSynthetic && "synthetic image", answer.out_of_distribution && "out of distribution", differ(item) && "models differ"].filter(Boolean);
  if (answer.abstained) return { short: "needs a human reader", kind: "warn", warnings };
  return { short: `${percent(answer.probabilities[answer.predicted])} ${model.classes[answer.predicted]}`, warnings };
}

function bars(answer, model) {
  const rows = Object.entries(model.classes).map(([label, name]) => {
    const isInSet = answer.prediction_set.includes(label);
    const value = answer.probabilities[label];
    return element("li", { class: isInSet ? "in-set" : "" },
      element("div", { class: "row" },
        element("span", { text: name }, isInSet && element("span", { class: "set", text: "not ruled out" })),
        element("span", { class: "value", text: percent(value) })),
      element("meter", { min: 0, max: 1, value, "aria-label": `Probability of ${name}` }));
  });
  return element("ol", { class: "bars" }, ...rows);
}

function headline(answer, model) {
  if (answer.abstained) return element("h2", { class: "person", text: "Needs a human reader" });
  return element("h2", { class: answer.out_of_distribution ? "person" : "", text: model.classes[answer.predicted] });
}

export function answerOf(item, model, isHidden, isReplaced) {
  const { answer } = item;
  const file = element("div", {}, element("p", { class: "file", text: item.name }), item.isSynthetic && element("p", { class: "flag", text: SYNTHETIC }));
  if (!answer) return [file, element("p", { class: "hint", text: "Waiting for the prediction…" })];
  if (answer.error) {
    return [file, element("h2", { text: "No prediction" }), element("p", { class: "flag bad", text: `This file cannot be read: ${answer.error}` })];
  }
  if (isHidden) return [file, element("p", { class: "hint", text: "The answer is hidden until your verdict is saved." })];
  if (isReplaced) file.append(element("p", { class: "flag", text: FORMER }));
  const parts = [file, headline(answer, model)];
  if (answer.abstained) parts.push(element("p", { text: `The model ${answer.abstained_because.replace(/^no class/, "finds that no class")}.` }));
  parts.push(...(model.challenger ? comparison(item, model) : [bars(answer, model)]));
  if (answer.out_of_distribution) {
    const limit = answer.calibration.out_of_distribution_above.toFixed(1);
    const score = answer.ood_score === null ? "too large to show" : answer.ood_score.toFixed(1);
    parts.splice(2, 0, element("p", { class: "flag", text: `Out of distribution: unlike the validation images (out-of-distribution score ${score}, limit ${limit}). The prediction may be meaningless.` }));
  }
  return parts;
}

// What the figures mean.
export function meaningOf({ answer }, isHidden) {
  if (!answer || answer.error || isHidden) return [];
  const held = Math.round(100 * (1 - answer.calibration.miscoverage));
  return [element("p", { class: "small", text: answer.meaning }),
    element("p", { class: "small", text: `For at least ${held} in 100 images like the validation images, the true class is among those not ruled out. Unless exactly one class is left, the image needs a human reader.` })];
}
