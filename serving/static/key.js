// The API key of a service that asks for one: kept for this tab, until it is closed.
import { byId } from "./elements.js";

const NAME = "api-key";
let asking;

export const currentKey = () => sessionStorage.getItem(NAME);

// Ask the user for another key than `refused`; false if none was given. Requests that wait for it ask once.
export async function newKey(refused) {
  if (currentKey() !== refused) return true;
  asking ??= ask(refused).finally(() => { asking = undefined; });
  return asking;
}

function ask(refused) {
  const dialog = byId("key-dialog");
  byId("key-hint").textContent = refused ? "The service does not accept this key." : "The service asks for an API key.";
  byId("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const key = byId("key").value.trim();
      byId("key").value = "";
      if (dialog.returnValue === "use" && key) sessionStorage.setItem(NAME, key);
      resolve(dialog.returnValue === "use" && key !== "");
    }, { once: true });
  });
}
