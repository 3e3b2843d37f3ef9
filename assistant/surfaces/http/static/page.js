// The page's own script: colours, language, lost connections, and the chat view's behaviour.
// It draws nothing that comes from documents or models; the server sends that escaped.
"use strict";
(() => {
  const root = document.documentElement;
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // -- language: Gradio asks the browser's, and should speak the page's ----------------------
  const language = root.lang;
  for (const [name, value] of [["language", language], ["languages", [language]]]) {
    Object.defineProperty(navigator, name, { get: () => value, configurable: true });
  }

  // -- light and dark: the system's, until its reader chooses --------------------------------
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (localStorage.getItem("assistant_theme") ?? (system.matches ? "dark" : "light")) === "dark";
  function paint() {
    root.dataset.theme = isDark() ? "dark" : "light";
    // Gradio sets its own class when it starts, and whenever the system changes.
    if (document.body && document.body.classList.contains("dark") !== isDark()) {
      document.body.classList.toggle("dark", isDark());
    }
  }
  paint();
  system.addEventListener("change", paint);
  document.addEventListener("DOMContentLoaded", () => {
    new MutationObserver(paint).observe(document.body, { attributeFilter: ["class"] });
    paint();
  });

  // -- requests that do not come through -----------------------------------------------------
  const request = window.fetch;
  window.fetch = async (input, options) => {
    const address = String(input.url ?? input);
    const joins = address.includes("/gradio_api/queue/");
    let response;
    try {
      response = await request(input, options);
    } catch (error) {
      if (joins && error.name !== "AbortError") window.dispatchEvent(new Event("assistant:lost"));
      throw error;
    }
    if (response.status === 401) {
      keepDraft();
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    } else if (joins && !response.ok) {
      window.dispatchEvent(new Event("assistant:lost"));
    }
    return response;
  };

  // Gradio loads the page anew as soon as the server is back; what it says until then is ours.
  window.addEventListener("assistant:lost", () => {
    root.classList.add("lost");
    toast(find("header.bar").dataset.lost, Infinity);
  });

  function toast(text, seconds = 2.5) {
    find(".toast")?.remove();
    const shown = document.createElement("p");
    shown.className = "toast";
    shown.setAttribute("role", "status");
    shown.dataset.test = "toast";
    document.body.append(shown);
    shown.textContent = text;
    if (seconds !== Infinity) setTimeout(() => shown.remove(), 1000 * seconds);
  }

  // What is being written outlives a sign-in, a language switch and a reload.
  function keepDraft() {
    const box = find("#question");
    if (box) sessionStorage.setItem("assistant_draft", box.value);
  }
  window.addEventListener("pagehide", keepDraft);

  // -- what every view's header does ---------------------------------------------------------
  const acts = {
    theme() {
      localStorage.setItem("assistant_theme", isDark() ? "light" : "dark");
      paint();
    },
    language(link) {
      const wanted = link.dataset.language;
      document.cookie = `assistant_lang=${wanted}; path=/; max-age=31536000; samesite=lax`;
      link.href = link.pathname + location.search;
      return true; // the link itself does the rest
    },
  };
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-act]");
    const act = target && acts[target.dataset.act];
    if (!act) return;
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
    if (target.matches("a") && elsewhere) return;
    if (!act(target)) event.preventDefault();
  });

  // -- the chat view -------------------------------------------------------------------------
  window.assistantChat = (desk, trigger) => {
    const composer = find("#composer", desk);
    const box = find("#question", desk);
    const words = JSON.parse(composer.dataset.words);
    const limit = Number(composer.dataset.limit);
    const panel = find("#panel", desk);
    const narrow = matchMedia("(max-width: 60rem)");
    let busy = false;
    let sent = "";
    let opener = null;
    let giveUp = 0;
    let pinned = true;
    let opening = "";

    const current = () => new URL(location.href).searchParams.get("c") ?? "";
    const query = () => find("#find")?.value ?? "";
    const fire = (name, data = {}) => trigger(name, { current: current(), query: query(), ...data });
    const live = () => find("#reply [data-state]");
    const quiet = matchMedia("(prefers-reduced-motion: reduce)");

    function say(text) {
      const said = find("#said");
      said.textContent = "";
      requestAnimationFrame(() => (said.textContent = text));
    }

    // Writing a question.
    function measure() {
      box.style.height = "auto";
      box.style.height = `${box.scrollHeight}px`;
      const length = [...box.value].length;
      const over = length > limit;
      find("#count").textContent =
        length > 0.8 * limit ? `${length} / ${limit} ${words.chars}${over ? " — " + words.too_long : ""}` : "";
      composer.classList.toggle("over", over);
      find("#send").disabled = busy || over || !box.value.trim();
    }
    box.addEventListener("input", measure);
    box.addEventListener("keydown", (event) => {
      // An input method's Enter takes a word; 229 is how some browsers report it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      composer.requestSubmit();
    });
    composer.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(box.value);
    });

    function setBusy(value) {
      busy = value;
      clearTimeout(giveUp);
      root.classList.toggle("answering", value);
      composer.dataset.busy = String(value);
      find("#stop").hidden = !value;
      find("#send").hidden = value;
      measure();
    }

    function ask(question) {
      question = question.trim();
      if (busy || !question || [...question].length > limit) return;
      sent = question;
      if (box.value.trim() === question) box.value = "";
      find("#reply").removeAttribute("data-stopped");
      setBusy(true);
      find("#asked").dataset.sent = "";
      fire("ask", { question, conversation: current() });
      // The server says at once that it has begun; silence means that it is gone.
      giveUp = setTimeout(() => window.dispatchEvent(new Event("assistant:lost")), 20000);
      pinned = true;
      toEnd();
      if (!narrow.matches) box.focus();
    }

    function restore() {
      if (!box.value.trim()) box.value = sent;
    }

    function lost() {
      if (!busy) return;
      setBusy(false);
      restore();
      measure();
      find("#reply").dataset.stopped = "lost";
    }
    window.addEventListener("assistant:lost", lost);

    // The end stays in sight until its reader scrolls away from it.
    function toEnd(behavior = quiet.matches ? "auto" : "smooth") {
      const page = document.scrollingElement;
      if (pinned) requestAnimationFrame(() => page.scrollTo({ top: page.scrollHeight, behavior }));
    }
    const unpin = (event) => {
      if (!event.target.closest?.("#panel, #side") && !(event.deltaY > 0)) pinned = false;
    };
    addEventListener("wheel", unpin, { passive: true });
    addEventListener("touchmove", unpin, { passive: true });
    addEventListener("scroll", () => {
      const page = document.scrollingElement;
      if (page.scrollHeight - page.scrollTop - innerHeight < 80) pinned = true;
    }, { passive: true });

    // Following an answer.
    function follow() {
      const answer = live();
      if (!busy || !answer) return;
      const state = answer.dataset.state;
      clearTimeout(giveUp);
      toEnd();
      if (answer.dataset.question !== sent) return;
      if (state === "done") {
        setBusy(false);
        say(`${words.done} ${find(".text", answer)?.textContent ?? ""}`);
        const id = answer.dataset.of;
        if (id !== current()) {
          history.replaceState(null, "", `?c=${id}`);
          show(id, sent.slice(0, 60));
        }
        fire("settled", { answer: answer.dataset.answer, id });
      } else if (state === "error") {
        setBusy(false);
        restore();
        measure();
        box.focus();
      }
    }

    // The conversation on show.
    function show(id, title) {
      find("#title").textContent = title || words.untitled;
      find("#export").hidden = !id;
      for (const link of all("#export a")) {
        link.href = `/v1/conversations/${encodeURIComponent(id)}/export?format=${link.dataset.format}`;
      }
      const other = find("header.bar [data-act=language]");
      if (other) other.search = id ? `?c=${id}` : "";
    }

    function open(id) {
      if (busy) stop();
      closePanel();
      setDrawer(false);
      opening = id;
      fire("open", { id });
    }

    function stop() {
      fire("stop");
      find("#reply").dataset.stopped = "";
      setBusy(false);
      restoreIfUnanswered();
    }
    function restoreIfUnanswered() {
      if (!find("#reply .text")) restore();
      measure();
    }

    function titled() {
      const turns = find("#thread [data-conversation]");
      if (!turns) return;
      const id = turns.dataset.conversation;
      show(id, turns.dataset.title);
      // One that is gone leaves the address, so that the next question begins anew.
      if (id !== current()) history.replaceState(null, "", id ? `?c=${id}` : location.pathname);
      if (opening && opening === id) {
        opening = "";
        pinned = true;
        toEnd("auto");
      }
    }

    // A source, beside the conversation; on a phone above it.
    async function source(link) {
      opener = link;
      const body = find("#panel-body");
      body.replaceChildren(Object.assign(document.createElement("p"), { className: "quiet", textContent: words.loading }));
      find("#panel-alone").href = link.href;
      all("[aria-expanded=true].chip, .cited a[aria-expanded]").forEach((each) => each.removeAttribute("aria-expanded"));
      if (!panel.open) narrow.matches ? panel.showModal() : panel.show();
      root.classList.add("with-panel");
      body.focus();
      const address = new URL(link.href);
      address.searchParams.set("part", "1");
      address.searchParams.set("lang", language.slice(0, 2));
      try {
        const response = await request(address);
        if (!response.ok) throw new Error(String(response.status));
        body.innerHTML = await response.text(); // our own server's template, escaped there
        const marked = find("mark, .passage", body);
        marked?.scrollIntoView({ block: "nearest" });
      } catch {
        body.replaceChildren(Object.assign(document.createElement("p"), { className: "notice", textContent: words.failed }));
      }
    }

    function closePanel() {
      if (!panel.open) return;
      panel.close();
      opener?.focus();
    }
    panel.addEventListener("close", () => {
      root.classList.remove("with-panel");
      opener?.focus();
    });
    panel.addEventListener("click", (event) => event.target === panel && closePanel());

    // The list of conversations; on a phone a drawer.
    function setDrawer(value) {
      root.classList.toggle("drawn", value);
      find("[data-act=drawer]")?.setAttribute("aria-expanded", String(value));
      if (value) find("#find")?.focus();
    }
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      if (root.classList.contains("drawn")) {
        setDrawer(false);
        find("[data-act=drawer]").focus();
      } else closePanel();
    });
    let pause = 0;
    document.addEventListener("input", (event) => {
      if (event.target.id !== "find") return;
      clearTimeout(pause);
      pause = setTimeout(() => fire("find", { id: current() }), 250);
    });

    function dialog(element, then) {
      const from = document.activeElement;
      element.returnValue = "";
      element.showModal();
      element.addEventListener("close", () => {
        from?.focus();
        if (element.returnValue === "yes") then();
      }, { once: true });
    }

    function verdict(answer, value, comment) {
      fire("verdict", { answer: answer.dataset.answer, verdict: value, comment });
      for (const button of all("[data-verdict]", answer)) {
        button.setAttribute("aria-pressed", String(button.dataset.verdict === value));
      }
    }
    document.addEventListener("submit", (event) => {
      if (!event.target.matches("form.reason")) return;
      event.preventDefault();
      const answer = event.target.closest(".answer");
      const given = find("[aria-pressed=true]", answer)?.dataset.verdict ?? "down";
      verdict(answer, given, event.target.elements.reason.value);
      event.target.hidden = true;
      toast(words.thanks);
      find(`[data-verdict=${given}]`, answer).focus();
    });

    async function copy(text) {
      try {
        await navigator.clipboard.writeText(text);
      } catch { // without https there is no clipboard
        const area = Object.assign(document.createElement("textarea"), { value: text });
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      toast(words.copied);
    }

    Object.assign(acts, {
      source: (link) => void source(link),
      close: () => closePanel(),
      ask: (button) => ask(button.dataset.question),
      again: (button) => ask(button.closest(".answer").dataset.question),
      stop: () => stop(),
      copy: (button) => void copy(button.closest(".answer").dataset.markdown),
      verdict(button) {
        const answer = button.closest(".answer");
        verdict(answer, button.dataset.verdict, "");
        const form = find("form.reason", answer);
        form.hidden = false;
        find("textarea", form).focus({ preventScroll: true });
        form.scrollIntoView({ block: "nearest" });
      },
      "no-reason": (button) => void (button.closest("form").hidden = true),
      drawer: () => setDrawer(!root.classList.contains("drawn")),
      new() {
        history.pushState(null, "", location.pathname);
        open("");
        show("", "");
        box.focus();
      },
      open(link) {
        history.pushState(null, "", `?c=${link.dataset.id}`);
        open(link.dataset.id);
      },
      rename(button) {
        const name = find("#name");
        name.value = button.dataset.title;
        dialog(find("#naming"), () => {
          fire("rename", { id: button.dataset.id, title: name.value });
          if (button.dataset.id === current()) show(current(), name.value);
        });
        name.select();
      },
      delete(button) {
        const { id, title } = button.dataset;
        find("[data-name]", desk).textContent = title;
        dialog(find("#deleting"), () => {
          fire("delete", { id });
          if (id !== current()) return;
          history.pushState(null, "", location.pathname);
          show("", "");
          box.focus();
        });
      },
    });
    window.addEventListener("popstate", () => open(current()));
    document.addEventListener("click", (event) => {
      const outside = !event.target.closest("#side, [data-act=drawer]");
      if (outside && root.classList.contains("drawn")) setDrawer(false);
    });

    const watching = { childList: true, subtree: true, attributes: true, attributeFilter: ["data-state", "data-conversation"] };
    new MutationObserver(follow).observe(find("#reply"), { ...watching, characterData: true });
    new MutationObserver(() => live() && toEnd()).observe(find("#followups"), { childList: true, subtree: true });
    new MutationObserver(titled).observe(find("#thread"), watching);

    box.value = sessionStorage.getItem("assistant_draft") ?? "";
    sessionStorage.removeItem("assistant_draft");
    setBusy(false);
    open(current());
    if (!narrow.matches) box.focus();
  };
})();
