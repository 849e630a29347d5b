// The list of images. One of its rows takes the focus, the selected one; arrows lead to the others.
import { told } from "./answer.js";
import { byId, element } from "./elements.js";

// The row of an image is made once and then changed: the focus stays where it is.
function rowOf(item, images) {
  if (!item.row) {
    const button = element("button", { type: "button", title: item.name });
    button.addEventListener("click", () => images.select(item));
    item.row = element("li", {}, button);
  }
  return item.row;
}

function fillRow(item, images, model, names) {
  const button = item.row.firstChild;
  const { short, kind, warnings = [] } = told(item, model, images.hides(item), images.isReplaced(item));
  const thumb = item.preview ? element("img", { class: "thumb", src: item.preview, alt: "" }) : element("span", { class: "thumb" });
  const lines = [element("span", { class: "name", text: item.name }), element("span", { class: `told ${kind ?? ""}`, text: short })];
  for (const text of warnings) lines.push(element("span", { class: "told warn", text }));
  if (item.verdict) lines.push(element("span", { class: "told read", text: `✓ reader: ${names[item.verdict.label]}` }));
  button.replaceChildren(thumb, element("span", { class: "text" }, ...lines));
  button.setAttribute("aria-current", String(item === images.current));
  button.tabIndex = item === images.current ? 0 : -1;
}

export function showList(images, model, names) {
  const list = byId("list");
  const items = images.ordered();
  const rows = items.map((item) => rowOf(item, images));
  if (rows.length !== list.children.length || rows.some((row, i) => row !== list.children[i])) {
    const focused = list.contains(document.activeElement) && document.activeElement;
    list.replaceChildren(...rows);
    if (focused) focused.focus({ preventScroll: true });
  }
  for (const item of items) {
    fillRow(item, images, model, names);
    if (item.answer && !images.hides(item)) item.wasShown = true;
  }
  byId("order").value = images.orderNow();
  byId("clear").hidden = byId("ordering").hidden = !rows.length;
  const left = items.filter((item) => images.isToRead(item)).length;
  byId("count").textContent = rows.length ? `Image ${items.indexOf(images.current) + 1} of ${rows.length}, ${left} to read` : "";
  byId("next").disabled = left === 0;
}

// Let the selected row be seen, and take the focus if another row has it. The page itself is not scrolled.
export function showSelected(images) {
  const row = images.current?.row;
  if (!row) return;
  const list = byId("list");
  if (list.contains(document.activeElement)) row.firstChild.focus({ preventScroll: true });
  const box = list.scrollHeight > list.clientHeight ? list : list.parentElement;
  const [place, around] = [row.getBoundingClientRect(), box.getBoundingClientRect()];
  if (place.top < around.top) box.scrollTop -= Math.ceil(around.top - place.top) + 2;
  if (place.bottom > around.bottom) box.scrollTop += Math.ceil(place.bottom - around.bottom) + 2;
}
