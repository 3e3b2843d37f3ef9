// The strategy view: the interview as a conversation, and the brief as a download. What was
// said is set as text; what the interview said comes from the server as HTML, escaped there.
"use strict";
window.assistantStrategy = (element, trigger, events) => {
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const current = () => new URL(location.href).searchParams.get("s") ?? "";
  const pointed = matchMedia("(hover: hover)"); // elsewhere a focused box brings up a keyboard
  let pages = 0; // how many events asked for a turn; the one it comes with has its number
  let shown = ""; // the number of the turn on show
  let said = ""; // what the interview said before the open question
  let busy = false;
  let late = 0;

  const desk = window.assistantDesk(
    element, (name, data) => trigger(name, { ...data, id: current(), n: String(++pages), said }), events);
  const { words } = desk;

  // -- which strategy is open ------------------------------------------------------------------
  function go(id, opening = "") {
    history.pushState(null, "", id ? `?s=${id}` : location.pathname);
    reopen(opening);
  }
  function reopen(opening = "") {
    find("#bubbles").replaceChildren();
    setBusy(false);
    said = opening;
    desk.show();
    scrollTo(0, 0);
  }
  window.addEventListener("popstate", () => reopen());

  async function call(path, body) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    if (response.ok) return response.json();
    await desk.refused(response);
    return null;
  }
  const lost = () => desk.fire("failed", { detail: words.lost });

  async function begin(form) {
    const button = find("[type=submit]", form);
    button.disabled = true;
    button.textContent = button.dataset.labelBusy;
    find("#said").textContent = button.dataset.labelBusy;
    try {
      const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
      const turn = await call("/v1/strategies", { company: form.elements.company.value, language });
      if (turn) go(turn.strategy_id, turn.lead);
    } catch {
      lost();
    } finally {
      button.disabled = false;
      button.textContent = button.dataset.label;
    }
  }

  // -- the conversation --------------------------------------------------------------------------
  function mine(text) {
    const bubble = document.createElement("div");
    bubble.className = "bubble mine";
    bubble.dataset.test = "mine";
    const who = Object.assign(document.createElement("span"), { className: "sr", textContent: words.you });
    bubble.append(who, Object.assign(document.createElement("p"), { className: "text", textContent: text }));
    return bubble;
  }
  function settled(bubble) {
    const copy = bubble.cloneNode(true);
    copy.classList.remove("open");
    for (const each of [copy, ...all("[data-test]", copy)]) delete each.dataset.test;
    return copy;
  }
  function setBusy(value) {
    busy = value;
    clearTimeout(late);
    find("#talking").classList.toggle("waiting", value);
    find("#interview").setAttribute("aria-busy", String(value));
    // An answer that came through but whose turn did not come back is asked for anew.
    if (value) late = setTimeout(() => reopen(), 30_000);
  }

  async function say(text, label = text) {
    const turn = find("#turn .turn");
    if (busy || !turn || !text.trim()) return false;
    const id = current();
    const added = [...all(".bubble", turn).map(settled), mine(label)];
    setBusy(true);
    turn.hidden = true;
    find("#bubbles").append(...added);
    added.at(-1).scrollIntoView({ block: "nearest" });
    let next = null;
    try {
      next = await call(`/v1/strategies/${id}/turn`, { text });
    } catch {
      lost();
    }
    if (id !== current()) return true;
    if (next) {
      said = next.lead;
      desk.fire("open");
      return true;
    }
    for (const bubble of added) bubble.remove();
    turn.hidden = false;
    setBusy(false);
    return false;
  }

  async function send() {
    const box = find("#say");
    const text = box.value;
    if (busy || !text.trim()) return;
    box.value = "";
    measure(box);
    if (!(await say(text))) {
      box.value ||= text;
      measure(box);
    }
  }
  function measure(box) {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
  }

  // A turn has come: it is read out, brought into view, and the box is ready for the answer.
  function arrived() {
    mark();
    const turn = find("#turn .turn");
    if (!turn || turn.dataset.turn === shown) return;
    const isFirst = !find("#bubbles").childElementCount;
    shown = turn.dataset.turn;
    said = "";
    setBusy(false);
    find("#notice .alert")?.remove(); // what it told of is over
    find("#said").textContent = all(".bubble", turn).map((each) => each.innerText).join("\n");
    if (pointed.matches) find("#say")?.focus({ preventScroll: true });
    if (!isFirst) requestAnimationFrame(() => bring(turn));
  }
  // The whole turn above the box, or its beginning where it is longer than the window.
  function bring(turn) {
    const box = find("#box").getBoundingClientRect().height;
    const { top, bottom } = turn.getBoundingClientRect();
    const head = find("#top");
    const fixed = getComputedStyle(head).position === "sticky" ? head.getBoundingClientRect().height : 0;
    const ceiling = find("header.bar").getBoundingClientRect().height + fixed + 12;
    const below = bottom - (innerHeight - box - 12);
    const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scrollBy({ top: Math.min(below, top - ceiling), behavior: quiet ? "auto" : "smooth" });
  }

  function pick(button) {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    find("[data-several]").disabled = !find("[data-toggle-choice][aria-pressed=true]");
  }
  function several(button) {
    const picked = all("[data-toggle-choice][aria-pressed=true]");
    const labels = picked.map((each) => each.textContent);
    void say(picked.map((each) => each.dataset.toggleChoice).join("，"), labels.join(button.dataset.join));
  }

  // -- the brief as a file -----------------------------------------------------------------------
  const making = new Set();
  function mark() {
    for (const link of all("[data-download]")) {
      const label = making.has(link.href) ? words.making : link.dataset.label;
      if (link.textContent === label) continue;
      link.textContent = label;
      link.setAttribute("aria-busy", String(making.has(link.href)));
    }
  }
  function save(blob, name) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
  async function download({ href }) {
    if (making.has(href)) return;
    making.add(href);
    mark();
    find("#said").textContent = words.making;
    try {
      const response = await fetch(href);
      if (!response.ok) return await desk.refused(response);
      const named = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("Content-Disposition") ?? "");
      save(await response.blob(), named ? decodeURIComponent(named[1]) : "brief");
      desk.toast(words.made);
    } catch {
      lost();
    } finally {
      making.delete(href);
      mark();
    }
  }

  // -- what the reader does ------------------------------------------------------------------------
  const clicks = {
    "a[data-go]": (link) => go(link.dataset.go),
    "a[data-to-brief]": () => {
      find("#brief-title").focus({ preventScroll: true });
      find(".brief").scrollIntoView({ block: "center" });
    },
    "a[data-download]": (link) => void download(link),
    "button[data-say]": (button) => void say(button.dataset.say, button.dataset.shown ?? button.textContent),
    "button[data-toggle-choice]": pick,
    "button[data-several]": several,
  };
  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    for (const [selector, act] of Object.entries(clicks)) {
      const target = event.target.closest(selector);
      if (!target) continue;
      event.preventDefault();
      return act(target);
    }
  });
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.begin !== undefined) void begin(event.target);
    if (event.target.dataset.sayForm !== undefined) void send();
  });
  document.addEventListener("input", (event) => event.target.id === "say" && measure(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "say" || event.key !== "Enter" || event.shiftKey) return;
    // An input method's Enter takes a word; 229 is how some browsers report it.
    if (event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    void send();
  });
  new MutationObserver(arrived).observe(find("#view"), { childList: true, subtree: true });
};
