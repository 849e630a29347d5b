// Sections: all open for print and by one button, and open where a link leads. Without JavaScript each opens by itself.
{
  const sections = [...document.querySelectorAll("main > section > details")];
  const buttons = document.getElementById("fold-all");
  const openTarget = () => {
    const target = document.getElementById(location.hash.slice(1));
    const details = target?.querySelector(":scope > details");
    if (details) details.open = true;
  };
  let closedBeforePrint = [];

  buttons.hidden = false;
  buttons.addEventListener("click", (event) => {
    const open = event.target.dataset.open;
    if (open) sections.forEach((section) => { section.open = open === "true"; });
  });
  document.querySelector("nav").addEventListener("click", () => setTimeout(openTarget)); // a second click changes no hash
  addEventListener("hashchange", openTarget);
  openTarget();
  addEventListener("beforeprint", () => {
    closedBeforePrint = [...document.querySelectorAll("details:not([open])")];
    closedBeforePrint.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => closedBeforePrint.forEach((details) => { details.open = false; }));
}
