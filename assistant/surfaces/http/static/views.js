// The views for documents, quality and administration: what a reader does becomes events of the
// desk, which the server answers with HTML, or requests to its API. Names, titles and secrets
// that are shown from here are set as text, never as HTML.
"use strict";
window.assistantDesk = (desk, trigger) => {
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const words = JSON.parse(find("#words")?.dataset.words ?? "{}");
  const state = { section: location.hash.slice(1) };
  const hidden = new Set(); // jobs whose reader has seen enough of them
  const opened = Date.now();
  let opener = "";

  const fire = (name, data = {}) => trigger(name, { ...state, ...data });
  function show() {
    place();
    fire("show");
  }
  // The section on show, where a view has several.
  function place() {
    const tabs = all("[data-tab]");
    if (!tabs.length) return;
    if (!tabs.some((tab) => tab.dataset.tab === state.section)) state.section = tabs[0].dataset.tab;
    for (const tab of tabs) {
      if (tab.dataset.tab === state.section) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    for (const form of all("[data-section]")) form.hidden = form.dataset.section !== state.section;
  }

  // -- telling -------------------------------------------------------------------------------
  function toast(text) {
    if (!text) return;
    find("#said").textContent = text;
    find(".toast")?.remove();
    const shown = document.createElement("p");
    shown.className = "toast low";
    shown.setAttribute("aria-hidden", "true"); // it has been said
    shown.textContent = text;
    document.body.append(shown);
    setTimeout(() => shown.remove(), 3500);
  }

  function confirmed(button) {
    const dialog = find("#confirm");
    find("#confirm-text").textContent = button.dataset.confirm;
    find("[value=yes]", dialog).textContent = button.dataset.yes;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) =>
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
  }

  // A link or key that is shown this once: it is in the page while the dialog is open, no longer.
  function showOnce(form, value) {
    const dialog = find("#once");
    find("#once-title").textContent = form.dataset.onceTitle;
    find("#once-note").textContent = form.dataset.onceNote;
    find("#once-value").textContent = value;
    dialog.showModal();
    dialog.addEventListener("close", () => (find("#once-value").textContent = ""), { once: true });
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // without https there is no clipboard
      const area = Object.assign(document.createElement("textarea"), { value: text });
      (find("dialog[open]") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const button = document.activeElement?.closest("[data-copy]");
    button?.classList.add("copied");
    setTimeout(() => button?.classList.remove("copied"), 1500);
    toast(words.copied);
  }

  // -- changing things through the API ---------------------------------------------------------
  function valuesOf(form) {
    const values = {};
    for (const field of form.elements) {
      const { name, type } = field;
      if (!name || field.disabled || name === "more_groups") continue;
      if (type === "checkbox" && field.dataset.bool !== undefined) values[name] = field.checked;
      else if (type === "checkbox") {
        values[name] ??= [];
        if (field.checked) values[name].push(field.value);
      } else if (type === "radio") {
        if (field.checked) values[name] = field.value;
      } else if (field.dataset.days !== undefined) {
        const days = Number(field.value);
        values[name] = days ? new Date(Date.now() + days * 864e5).toISOString() : null;
      } else if (field.dataset.list !== undefined) values[name] = listed(field.value);
      else values[name] = field.value;
    }
    const more = listed(form.elements.more_groups?.value ?? "");
    if (more.length) values.groups = [...new Set([...(values.groups ?? []).filter((each) => each !== "everyone"), ...more])];
    return values;
  }
  const listed = (text) => text.split(/[,，、;；]/).map((each) => each.trim()).filter(Boolean);

  async function refused(response) {
    let detail = "";
    try {
      detail = (await response.json()).detail;
    } catch {} // no problem document: a proxy's page, say
    fire("failed", { detail: words[`failed_${response.status}`] ?? (detail || words.lost) });
  }

  async function send(element, body) {
    const [method, path] = element.dataset.send.split(" ");
    const button = element.matches("form") ? find("[type=submit]", element) : element;
    button.disabled = true;
    try {
      const headers = body ? { "Content-Type": "application/json" } : {};
      const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
      if (!response.ok) return await refused(response);
      const made = response.status === 204 ? null : await response.json();
      done(element, made);
    } catch {
      fire("failed", { detail: words.lost });
    } finally {
      button.disabled = false;
    }
  }

  function done(element, made) {
    toast(element.dataset.done);
    if (element.matches("form") && element.dataset.again === undefined) {
      element.reset();
      element.closest("[data-keep-open]")?.removeAttribute("open");
    }
    if (element.dataset.once) showOnce(element, made[element.dataset.once]);
    if (element.dataset.leave !== undefined) close();
    if (element.dataset.again) fire("open", { id: element.dataset.again });
    show();
  }

  // -- sending files ---------------------------------------------------------------------------
  let picked = [];

  function row(file) {
    const item = document.createElement("li");
    item.dataset.test = "picked-file";
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: file.name });
    const size = Object.assign(document.createElement("span"), { className: "quiet", textContent: bytes(file.size) });
    item.append(name, size);
    const problem = trouble(file);
    if (problem) {
      item.className = "quarantined";
      item.append(Object.assign(document.createElement("p"), { className: "why", textContent: problem }));
    }
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: "×" });
    remove.setAttribute("aria-label", `${words.remove} ${file.name}`);
    remove.addEventListener("click", () => pick(picked.filter((each) => each !== file)));
    item.append(remove);
    return item;
  }
  const bytes = (size) =>
    size < 1e6 ? `${Math.ceil(size / 1e3)} KB` : `${(size / 1e6).toFixed(1)} MB`;
  function trouble(file) {
    if (file.size > Number(find("#words").dataset.fileMb) * 1e6) return words.too_large;
    return file.size ? "" : words.empty_file;
  }

  function pick(files) {
    picked = files;
    find("#picked").replaceChildren(...files.map(row));
    const button = find("[data-upload] [type=submit]");
    const good = files.filter((file) => !trouble(file)).length;
    button.disabled = !good;
    button.textContent = good ? button.dataset.labelN.replace("{count}", good) : button.dataset.label;
  }
  const add = (files) => pick([...picked, ...[...files].filter((file) =>
    !picked.some((each) => each.name === file.name && each.size === file.size && each.lastModified === file.lastModified))]);

  // As many files a request as the server takes.
  function batches(files) {
    const most = Number(find("#words").dataset.batchMb) * 1e6;
    const found = [];
    let size = Infinity;
    for (const file of files) {
      if (size + file.size > most || found.at(-1).length >= 100) {
        found.push([]);
        size = 0;
      }
      found.at(-1).push(file);
      size += file.size;
    }
    return found;
  }

  function transfer(method, path, form, progress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open(method, path);
      request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
      request.addEventListener("load", () => resolve(request));
      request.addEventListener("error", reject);
      request.send(form);
    });
  }
  const answered = (request) =>
    new Response(request.responseText, { status: request.status });

  async function upload(form) {
    const { groups = [], existing } = valuesOf(form);
    const button = find("[type=submit]", form);
    const rows = new Map(picked.map((file, at) => [file, all("#picked > li")[at]]));
    const good = picked.filter((file) => !trouble(file));
    button.disabled = true;
    button.textContent = words.sending;
    for (const [file, item] of rows) {
      if (trouble(file)) continue;
      find("button", item).remove();
      item.append(Object.assign(document.createElement("progress"), { max: 1, value: 0, ariaLabel: file.name }));
    }
    const left = new Set(picked);
    for (const batch of batches(good)) {
      const body = new FormData();
      for (const group of groups) body.append("groups", group);
      body.append("existing", existing);
      for (const file of batch) body.append("files", file);
      const total = batch.reduce((sum, file) => sum + file.size, 0);
      try {
        const request = await transfer("POST", "/v1/documents", body, (share) => {
          let before = 0;
          for (const file of batch) {
            find("progress", rows.get(file)).value = Math.min(1, Math.max(0, (share * total - before) / file.size));
            before += file.size;
          }
        });
        if (request.status !== 202) {
          await refused(answered(request));
          break;
        }
        for (const file of batch) left.delete(file);
        fire("jobs");
      } catch {
        fire("failed", { detail: words.lost });
        break;
      }
    }
    pick([...left]);
    if (!left.size) toggle("upload", false);
    show();
  }

  async function put(input) {
    const [file] = input.files;
    if (!file) return;
    input.value = "";
    if (trouble(file)) return fire("failed", { detail: trouble(file) });
    const body = new FormData();
    body.append("file", file);
    try {
      const request = await transfer("PUT", input.dataset.put, body, () => {});
      if (request.status !== 202) return await refused(answered(request));
      close();
      show();
    } catch {
      fire("failed", { detail: words.lost });
    }
  }

  // -- opening and closing ---------------------------------------------------------------------
  function toggle(name, value) {
    const target = find(`[data-${name}]`);
    if (!target) return;
    target.hidden = value === undefined ? !target.hidden : !value;
    for (const button of all(`[data-toggle=${name}]`)) button.setAttribute("aria-expanded", String(!target.hidden));
    if (!target.hidden) target.scrollIntoView({ block: "nearest" });
  }

  function open(button) {
    const { open: id, shown } = button.dataset;
    if (!button.closest(".sheet")) opener = id;
    fire("open", { id, shown: shown ?? "" });
  }

  function close() {
    const sheet = find(".sheet");
    if (!sheet) return;
    sheet.hidden = true;
    fire("open", { id: "" });
    find(`[data-open="${CSS.escape(opener)}"]`)?.focus();
  }

  let inSheet = "";
  function arrived() {
    const id = find(".sheet:not([hidden])")?.dataset.id ?? "";
    if (id && id !== inSheet) find("#sheet-title").focus();
    inSheet = id;
  }

  // Work under way is looked at until it is done; then what it changed is shown.
  let busy = false;
  function follow() {
    for (const job of all("[data-job]")) {
      // What had ended before the page was opened is no news; a minute for clocks that differ.
      const isOld = job.dataset.finished && Number(job.dataset.finished) * 1e3 < opened - 6e4;
      job.hidden = isOld || hidden.has(job.dataset.job);
    }
    const now = find("[data-busy]") !== null;
    if (busy && !now) {
      show();
      const open = find(".sheet:not([hidden])")?.dataset.id;
      if (open) fire("open", { id: open });
    }
    busy = now;
  }
  setInterval(() => busy && !document.hidden && fire("jobs"), 1200);

  // -- what the reader does ---------------------------------------------------------------------
  const clicks = {
    toggle: (button) => toggle(button.dataset.toggle),
    open,
    close,
    copy: (button) => void copy(find(`#${button.dataset.copy}`).textContent),
    dismiss: (button) => button.closest(".alert").remove(),
    hideJob: (button) => {
      hidden.add(button.dataset.hideJob);
      follow();
    },
    page: (button) => {
      state.page = button.dataset.page;
      show();
      find("#view").scrollIntoView();
    },
    sort: (button) => {
      const same = state.sort === button.dataset.sort;
      state.way = same && state.way === "asc" ? "desc" : "asc";
      state.sort = button.dataset.sort;
      state.page = "";
      show();
    },
    clear: () => {
      const form = find("[data-filter]:not([hidden])");
      form.reset();
      filter(form);
    },
    set: (button) => {
      Object.assign(state, JSON.parse(button.dataset.set), { page: "" });
      if (state.section) history.replaceState(null, "", `#${state.section}`);
      close();
      show();
    },
  };
  document.addEventListener("click", async (event) => {
    for (const [name, act] of Object.entries(clicks)) {
      const attribute = `data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      const target = event.target.closest(`button[${attribute}], a[${attribute}]`);
      if (target) {
        event.preventDefault();
        return act(target);
      }
    }
    const sender = event.target.closest("button[data-send]");
    if (sender && (!sender.dataset.confirm || (await confirmed(sender)))) void send(sender);
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.method === "dialog") return;
    event.preventDefault();
    if (form.dataset.upload !== undefined) void upload(form);
    else if (form.dataset.filter !== undefined) filter(form);
    else if (form.dataset.send && (!form.dataset.confirm || (await confirmed(form)))) void send(form, valuesOf(form));
  });

  let pause = 0;
  function filter(form) {
    Object.assign(state, valuesOf(form), { page: "" });
    if (form.elements.order && matchMedia("(max-width: 50rem)").matches) {
      [state.sort, state.way] = form.elements.order.value.split(" ");
    }
    show();
  }
  document.addEventListener("input", (event) => {
    const form = event.target.closest?.("[data-filter]");
    if (!form) return;
    clearTimeout(pause);
    pause = setTimeout(() => filter(form), 250);
  });
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (input.id === "files") {
      add(input.files);
      input.value = "";
    } else if (input.dataset?.put) void put(input);
    else if (input.closest?.(".picks") && input.type === "checkbox" && input.checked) {
      // Everyone is beside no other group.
      const alone = input.dataset.alone !== undefined;
      for (const other of all("[type=checkbox]", input.closest(".picks"))) {
        if (other !== input && (alone || other.dataset.alone !== undefined)) other.checked = false;
      }
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing && !find("dialog[open]")) close();
  });

  // What the reader unfolded stays so when its part is shown anew.
  const unfolded = new Set();
  document.addEventListener("toggle", (event) => {
    const name = event.target.dataset?.keepOpen;
    if (name && event.target.isConnected) event.target.open ? unfolded.add(name) : unfolded.delete(name);
  }, true);
  function unfold() {
    for (const part of all("[data-keep-open]")) {
      if (unfolded.has(part.dataset.keepOpen) && !part.open) part.open = true;
    }
  }

  // Files can be dropped anywhere on the page.
  const canDrop = (event) => find("[data-upload]") && event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!canDrop(event)) return;
    event.preventDefault();
    toggle("upload", true);
    find(".drop").classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) find(".drop")?.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!canDrop(event)) return;
    event.preventDefault();
    find(".drop").classList.remove("over");
    add(event.dataTransfer.files);
  });

  window.addEventListener("hashchange", () => {
    state.section = location.hash.slice(1);
    show();
  });
  new MutationObserver(() => {
    follow();
    unfold();
    arrived();
  }).observe(find("#view"), { childList: true, subtree: true });
  show();
  return { fire, show, toast, refused, words };
};
