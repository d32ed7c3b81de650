// Copyright (c) Crossmesh maintainers
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";
(() => {
  // One search and filter a list: what it looks at was written by the template, and is only ever compared.
  for (const tools of document.querySelectorAll(".tools")) {
    const items = [...document.querySelectorAll(tools.dataset.list)];
    const texts = items.map((item) => item.dataset.find.toLowerCase());
    const search = tools.querySelector("input");
    const buttons = [...tools.querySelectorAll("button")];
    const count = tools.querySelector("output");
    let tone = "";
    const show = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      items.forEach((item, index) => {
        const fits = (!tone || item.dataset.tone === tone) && words.every((word) => texts[index].includes(word));
        item.hidden = !fits;
        found += fits ? 1 : 0;
      });
      count.textContent = found === items.length ? `${found}` : `${found} of ${items.length}`;
    };
    search.addEventListener("input", show);
    for (const button of buttons) {
      button.addEventListener("click", () => {
        tone = tone === button.dataset.tone ? "" : button.dataset.tone;
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other.dataset.tone === tone && tone !== "")));
        show();
      });
    }
    show();
  }
  // A link to something that is folded opens it.
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let part = target; part; part = part.parentElement) {
      part.hidden = false;
      if (part.tagName === "DETAILS") part.open = true;
    }
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
  addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target.tagName !== "INPUT") {
      event.preventDefault();
      document.querySelector(".tools input").focus();
    }
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
})();
