"use strict";
{
  const root = document.documentElement;
  root.classList.add("js");

  /* Light, dark, or as the system has it. */
  const theme = document.getElementById("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colors`); };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); dispatchEvent(new Event("theme")); });
  dark.addEventListener("change", () => { nameTheme(); dispatchEvent(new Event("theme")); });
  nameTheme();

  /* On a dark page a figure's paper is dark, and a second copy, cut to its photographs, keeps their colors. */
  for (const sheet of document.querySelectorAll(".sheet")) {
    const corners = [];
    for (const [left, top, right, bottom] of JSON.parse(sheet.dataset.photos)) {
      for (const [x, y] of [[0, 0], [left, top], [right, top], [right, bottom], [left, bottom], [left, top]]) corners.push(`${100 * x}% ${100 * y}%`);
    }
    if (!corners.length) continue;
    const copy = sheet.firstElementChild.cloneNode();
    copy.className = "photos";
    copy.alt = "";
    copy.style.clipPath = `polygon(${corners.join(", ")}, 0% 0%)`;
    sheet.append(copy);
  }

  /* In a frame, as of a notebook, the page tells how tall it is. */
  if (parent !== window) new ResizeObserver(() => parent.postMessage({ fimaHeight: Math.ceil(document.body.getBoundingClientRect().bottom) }, "*")).observe(document.body);

  /* Paper shows what is folded on the screen. */
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) { details.open = true; details.dataset.closed = ""; }
  });
  addEventListener("afterprint", () => {
    for (const details of document.querySelectorAll("details[data-closed]")) { details.open = false; delete details.dataset.closed; }
  });
}
