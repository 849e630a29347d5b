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

function fillRow(item, images, model) {
  const button = item.row.firstChild;
  const { short, kind, warning } = told(item, model);
  const thumb = item.preview ? element("img", { class: "thumb", src: item.preview, alt: "" }) : element("span", { class: "thumb" });
  const lines = [element("span", { class: "name", text: item.name }), element("span", { class: `told ${kind ?? ""}`, text: short })];
  if (warning) lines.push(element("span", { class: "told warn", text: warning }));
  button.replaceChildren(thumb, element("span", { class: "text" }, ...lines));
  button.setAttribute("aria-current", String(item === images.current));
  button.tabIndex = item === images.current ? 0 : -1;
}

export function showList(images, model) {
  const rows = images.items.map((item) => rowOf(item, images));
  if (rows.length !== byId("list").children.length) byId("list").replaceChildren(...rows);
  for (const item of images.items) fillRow(item, images, model);
  byId("clear").hidden = !rows.length;
  byId("count").textContent = rows.length > 1 ? `${images.items.indexOf(images.current) + 1} of ${rows.length} images` : "";
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
