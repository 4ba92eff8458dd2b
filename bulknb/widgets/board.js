// The board of jobs: a grid that stays fluid with thousands of rows, since only those in sight are
// in the page. A plain ES module: no build step, no import, nothing from the network. Text of the
// server becomes a text node or an attribute, never HTML.
//
// A row is [id, verbs, written, tone, ...cells], a cell per column of the model's `columns`.

const ID = 0,
  VERBS = 1,
  WRITTEN = 2,
  TONE = 3,
  CELLS = 4;
const VERB_BITS = { Close: 1, Abort: 2 };
const ROW_PX = 28; // as in board.css
const EDGE_PX = 4; // as in board.css
const MARK_PX = 28;
const OVERSCAN = 6;
const ANSWER_MS = 3000;
const SETTLE_MS = 200;
const AGES_MS = 20000;
const NO_ANSWER =
  "The kernel does not answer: it is busy with a cell, or gone. This is how things were";

const count = (n, noun) => `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;

/** Return a time in the unit that suits it, as the panels do: 840 ms, 12.3 s, 4 min 05 s, 2 h 07 min. */
function duration(ms) {
  const seconds = ms / 1000;
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 59.95) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

function age(ms, now) {
  const minutes = Math.floor((now - ms) / 60000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / 1440)} d ago`;
}

/** Per kind of column: a value as [text, exact text to show on hover]. */
const FORMATS = {
  text: (value) => [String(value), String(value)],
  number: (value) => [value.toLocaleString("en-US"), ""],
  duration: (value) => [duration(value), `${value.toLocaleString("en-US")} ms`],
  time: (value, now) => [
    age(value, now),
    new Date(value).toISOString().replace("T", " ").slice(0, 19) + " UTC",
  ],
};

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** What all views of one board share: the rows, which of them are selected, what the kernel said. */
class Store {
  constructor(model) {
    this.model = model;
    this.listeners = new Set();
    this.selected = new Set();
    this.texts = new WeakMap();
    this.load();
    model.on("change:rows", () => {
      this.load();
      this.tell("rows");
    });
    model.on("change:status change:trouble change:said", () => this.tell("words"));
    model.on("msg:custom", (message) => this.hear(message));
  }

  load() {
    this.rows = this.model.get("rows");
    this.places = new Map(this.rows.map((row, place) => [row[ID], place]));
  }

  hear(message) {
    for (const row of message.rows ?? []) {
      const place = this.places.get(row[ID]) ?? this.rows.length;
      this.places.set(row[ID], place);
      this.rows[place] = row;
    }
    this.tell(message.rows ? "rows" : "words");
  }

  tell(what) {
    for (const listener of this.listeners) listener(what);
  }

  chosen() {
    return [...this.selected].map((id) => this.rows[this.places.get(id)]).filter(Boolean);
  }

  /** The row as lower-case text, for the filter. */
  text(row) {
    if (!this.texts.has(row))
      this.texts.set(row, `${row[ID]} ${row.slice(CELLS).join(" ")}`.toLowerCase());
    return this.texts.get(row);
  }
}

class View {
  constructor(store, model, root) {
    Object.assign(this, { store, model, root });
    this.name = Math.random().toString(36).slice(2);
    this.columns = model.get("columns");
    this.sort = { at: this.columns.findIndex((column) => column.kind === "time"), down: true };
    this.picked = new Map(); // column -> the one value to show
    this.shown = []; // rows that pass the filters, in order
    this.current = 0;
    this.anchor = 0;
    this.asking = ""; // the verb to be confirmed
    this.slots = []; // the elements of the rows in sight
    this.build();
    this.listen();
    this.filter();
    this.report();
  }

  // What it is made of

  build() {
    const button = (text, act, props = {}) =>
      element("button", { type: "button", textContent: text, onclick: act, ...props });
    this.find = element("input", {
      type: "search",
      placeholder: "Filter",
      "aria-label": "Filter jobs",
    });
    this.find.oninput = () => {
      this.grid.scrollTop = 0;
      this.filter();
    };
    this.facets = this.columns.flatMap((column, at) =>
      column.facet ? [this.facet(column, at)] : [],
    );
    this.openButton = button("Open", () => this.open(), {
      title: "Show the job that was clicked last, live (Enter)",
    });
    this.verbButtons = Object.keys(VERB_BITS).map((verb) => button(verb, () => this.ask(verb)));
    this.verbs = element("span", { className: "verbs" }, this.openButton, ...this.verbButtons);
    this.question = element("span");
    this.yes = button("", () => this.act(), { className: "danger" });
    this.no = button("Keep as it is", () => this.ask(""));
    this.confirmation = element(
      "span",
      { className: "confirmation", hidden: true, role: "group", "aria-label": "Confirm" },
      this.question,
      this.yes,
      this.no,
    );
    this.filters = element("span", { className: "filters" }, this.find, ...this.facets);
    this.tally = element("span", { className: "tally", role: "status" });
    this.head = element(
      "div",
      { role: "row", className: "row head", "aria-rowindex": "1" },
      element("div", { role: "columnheader", className: "cell", "aria-label": "Selected" }),
    );
    this.columns.forEach((column, at) => this.head.append(this.title(column, at)));
    this.body = element("div", { role: "rowgroup", className: "body" });
    this.empty = element("div", { className: "empty", hidden: true });
    this.grid = element(
      "div",
      {
        role: "grid",
        tabIndex: 0,
        className: "grid",
        "aria-label": "Bulk jobs",
        "aria-multiselectable": "true",
      },
      element("div", { role: "rowgroup", className: "top" }, this.head),
      this.body,
    );
    this.said = element("span", { className: "said", role: "status" });
    this.trouble = element("span", { className: "trouble", role: "alert" });
    this.status = element("span", { className: "status" });
    this.box = element(
      "div",
      { className: "bulknb-board" },
      element(
        "div",
        { className: "bar", role: "toolbar", "aria-label": "Jobs" },
        this.filters,
        this.verbs,
        this.confirmation,
      ),
      this.grid,
      this.empty,
      element("div", { className: "foot" }, this.tally, this.said, this.trouble, this.status),
    );
    const widths = this.columns.map(({ width, grows }) =>
      grows ? `minmax(${width}px, 1fr)` : `${width}px`,
    );
    this.box.style.setProperty("--columns", [`${MARK_PX}px`, ...widths].join(" "));
    const least = this.columns.reduce((sum, { width }) => sum + width, EDGE_PX + MARK_PX);
    this.box.style.setProperty("--width", `${least}px`);
    this.box.dataset.name = this.model.get("name"); // hides the static twin
    this.root.append(this.box);
  }

  facet(column, at) {
    const all = `All ${column.facet}`;
    const select = element(
      "select",
      { "aria-label": column.label },
      element("option", { value: "", textContent: all }),
    );
    select.onchange = () => {
      if (select.selectedIndex) this.picked.set(at, select.value);
      else this.picked.delete(at);
      this.filter();
    };
    select.refill = () => {
      const values = [...new Set(this.store.rows.map((row) => row[CELLS + at]))]
        .filter((value) => value !== null)
        .sort();
      const had = [...select.options].slice(1).map((option) => option.value);
      if (values.join("\n") === had.join("\n")) return;
      const value = select.value;
      select.length = 1;
      select.append(...values.map((text) => element("option", { value: text, textContent: text })));
      select.value = values.includes(value) ? value : "";
      if (!select.value) this.picked.delete(at);
    };
    return select;
  }

  title(column, at) {
    const button = element("button", { type: "button", textContent: column.label, tabIndex: -1 });
    button.onclick = () => {
      this.sort = { at, down: this.sort.at === at ? !this.sort.down : column.kind !== "text" };
      this.filter();
    };
    return element(
      "div",
      { role: "columnheader", className: `cell ${column.kind}`, "aria-sort": "none" },
      button,
    );
  }

  slot() {
    const cells = this.columns.map((column) =>
      element("div", { role: "gridcell", className: `cell ${column.kind}` }),
    );
    const mark = element("div", { role: "gridcell", className: "cell mark" });
    const row = element("div", { role: "row", className: "row" }, mark, ...cells);
    row.onclick = (event) => {
      this.current = row.place;
      this.toggle(event.shiftKey);
      this.grid.focus({ preventScroll: true });
    };
    row.ondblclick = () => {
      getSelection().removeAllRanges();
      this.open();
    };
    this.body.append(row);
    this.slots.push(row);
  }

  // Which rows, in which order

  filter() {
    const words = this.find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const passes = (row) =>
      [...this.picked].every(([at, value]) => row[CELLS + at] === value) &&
      (!words.length || words.every((word) => this.store.text(row).includes(word)));
    const at = CELLS + this.sort.at,
      sign = this.sort.down ? -1 : 1;
    const order = (a, b) => {
      const x = a[at],
        y = b[at];
      if (x === y) return a[ID] < b[ID] ? -sign : sign;
      if (x === null) return 1; // what is not known comes last, both ways
      if (y === null) return -1;
      return x < y ? -sign : sign;
    };
    const id = this.shown[this.current]?.[ID];
    this.shown = this.store.rows.filter(passes).sort(order);
    const kept = this.shown.findIndex((row) => row[ID] === id); // the cursor stays on its job
    this.current = kept >= 0 ? kept : Math.max(0, Math.min(this.current, this.shown.length - 1));
    this.facets.forEach((facet) => facet.refill());
    [...this.head.children].slice(1).forEach((cell, place) => {
      const sorts = place === this.sort.at;
      cell.setAttribute("aria-sort", !sorts ? "none" : this.sort.down ? "descending" : "ascending");
      cell.firstChild.tabIndex = sorts ? 0 : -1; // one stop for Tab: arrow keys go on from it
    });
    this.grid.setAttribute("aria-rowcount", String(this.shown.length + 1));
    this.body.style.height = `${this.shown.length * ROW_PX}px`;
    this.draw();
  }

  // What is in sight

  draw() {
    const first = Math.max(0, Math.floor(this.grid.scrollTop / ROW_PX) - OVERSCAN);
    const room = Math.ceil((this.grid.clientHeight || 360) / ROW_PX) + 2 * OVERSCAN;
    const inSight = this.shown.slice(first, first + room);
    while (this.slots.length < inSight.length) this.slot();
    const now = Date.now();
    this.slots.forEach((slot, at) => {
      slot.hidden = at >= inSight.length;
      if (!slot.hidden) this.fill(slot, first + at, inSight[at], now);
    });
    if (this.shown.length)
      this.grid.setAttribute("aria-activedescendant", `${this.name}-${this.current}`);
    else this.grid.removeAttribute("aria-activedescendant");
    this.sight = inSight.map((row) => row[ID]);
    this.words();
  }

  fill(slot, place, row, now) {
    const selected = this.store.selected.has(row[ID]);
    slot.place = place;
    slot.id = `${this.name}-${place}`;
    slot.style.transform = `translateY(${place * ROW_PX}px)`;
    slot.dataset.tone = row[TONE];
    slot.setAttribute("aria-rowindex", String(place + 2));
    slot.setAttribute("aria-selected", String(selected));
    slot.classList.toggle("current", place === this.current);
    this.columns.forEach((column, at) => {
      const value = row[CELLS + at];
      const [text, exact] = value === null ? ["", ""] : FORMATS[column.kind](value, now);
      const cell = slot.children[at + 1];
      if (cell.textContent !== text) cell.textContent = text;
      if (cell.title !== exact) cell.title = exact;
    });
  }

  words() {
    const { model, store } = this;
    const chosen = store.chosen(),
      alive = this.alive();
    this.openButton.disabled = !alive || !this.shown.length;
    for (const button of this.verbButtons) {
      const able = chosen.filter((row) => row[VERBS] & VERB_BITS[button.textContent]).length;
      button.disabled = !alive || !able;
      button.title = able
        ? `${button.textContent} ${count(able, "job")}; asks once more`
        : "No selected job allows it in its state";
    }
    this.putQuestion();
    this.filters.hidden = this.verbs.hidden = Boolean(this.asking);
    this.confirmation.hidden = !this.asking;
    const total = store.rows.length,
      shown = this.shown.length;
    this.say(
      this.tally,
      `${shown === total ? count(total, "job") : `${shown.toLocaleString("en-US")} of ${count(total, "job")}`}${chosen.length ? `, ${chosen.length} selected` : ""}`,
    );
    this.empty.hidden = shown > 0;
    this.say(this.empty, total ? "No job matches the filter" : "No jobs");
    this.say(this.said, model.get("said"));
    this.say(this.status, model.get("status"));
    this.say(this.trouble, this.silent || this.severed() ? NO_ANSWER : model.get("trouble"));
  }

  say(where, text) {
    if (where.textContent !== text) where.textContent = text;
  }

  // What the user does

  toggle(range) {
    const { selected } = this.store;
    if (range) {
      const [from, to] = [this.anchor, this.current].sort((a, b) => a - b);
      this.shown.slice(from, to + 1).forEach((row) => selected.add(row[ID]));
    } else {
      const id = this.shown[this.current]?.[ID];
      if (id && !selected.delete(id)) selected.add(id);
      this.anchor = this.current;
    }
    this.ask("");
    this.store.tell("selection");
  }

  choose(rows) {
    this.store.selected.clear();
    rows.forEach((row) => this.store.selected.add(row[ID]));
    this.ask("");
    this.store.tell("selection");
  }

  able() {
    return this.store.chosen().filter((row) => row[VERBS] & VERB_BITS[this.asking]);
  }

  ask(verb) {
    const was = this.asking;
    this.asking = verb;
    this.draw();
    if (verb)
      this.no.focus(); // Enter pressed twice must not abort
    else if (was) this.grid.focus({ preventScroll: true });
  }

  /** Say what is asked, as things are by now: a job may have ended since the question was put. */
  putQuestion() {
    if (!this.asking) return;
    const rows = this.able(),
      act = `${this.asking} ${count(rows.length, "job")}`,
      written = rows.reduce((sum, row) => sum + (row[WRITTEN] ?? 0), 0);
    const stays =
      this.asking !== "Abort"
        ? "No more data can be added."
        : `${written ? `${count(written, "row")} or more` : "Rows"} already written stay written.`;
    this.say(this.question, `${act} of ${this.model.get("org")}? ${stays}`);
    this.say(this.yes, act);
    this.yes.disabled = !rows.length;
  }

  act() {
    const ids = this.able().map((row) => row[ID]);
    this.send({ type: this.asking.toLowerCase(), ids });
    this.ask("");
  }

  open() {
    const row = this.shown[this.current];
    if (row && this.alive()) this.send({ type: "open", ids: [row[ID]] });
  }

  key(event) {
    if (event.target !== this.grid) {
      if (event.key === "Escape" && this.asking) this.ask("");
      if (this.head.contains(event.target)) this.stepTitles(event);
      return;
    }
    const page = Math.floor(this.grid.clientHeight / ROW_PX) - 2;
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    if (steps !== undefined) this.move(steps, event.shiftKey);
    else if (event.key === " ") this.toggle(event.shiftKey);
    else if (event.key === "Enter") this.open();
    else if (event.key === "Escape") this.choose([]);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.choose(this.shown);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  stepTitles(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const titles = [...this.head.querySelectorAll("button")];
    titles[titles.indexOf(event.target) + step]?.focus();
    event.preventDefault();
    event.stopPropagation();
  }

  move(steps, range) {
    this.current = Math.max(0, Math.min(this.shown.length - 1, this.current + steps));
    const top = this.current * ROW_PX,
      { scrollTop, clientHeight } = this.grid;
    if (top < scrollTop) this.grid.scrollTop = top;
    else if (top + 2 * ROW_PX > scrollTop + clientHeight)
      this.grid.scrollTop = top + 2 * ROW_PX - clientHeight;
    if (range) this.toggle(true);
    else this.draw();
  }

  // The kernel

  /** Whether the front end knows that the kernel of this board is gone. */
  severed() {
    return Boolean(this.root.closest(".jupyter-widgets-disconnected"));
  }

  alive() {
    return this.answered && !this.severed();
  }

  send(message) {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      this.silent = true;
      this.words();
    }, ANSWER_MS);
    this.model.send({ view: this.name, ...message });
  }

  heard() {
    clearTimeout(this.waiting);
    this.answered = true; // a notebook that is opened again may have no kernel: nothing looks alive before
    this.silent = false;
  }

  /** Say which jobs are in sight: the kernel asks the server only for what somebody can see. */
  report() {
    clearTimeout(this.reporting);
    this.reporting = setTimeout(() => {
      const ids = this.onScreen && !document.hidden ? this.sight : [];
      const told = ids.join();
      if (told === this.told) return;
      this.told = told;
      this.send({ type: "sight", ids });
    }, SETTLE_MS);
  }

  listen() {
    const told = (what) => {
      if (what === "rows" || what === "words") this.heard();
      this.later(what === "rows");
    };
    this.store.listeners.add(told);
    this.grid.onscroll = () => this.later();
    this.box.onkeydown = (event) => this.key(event);
    // Else the notebook's command mode takes plain keys that are typed here: x cuts the cell. It
    // skips a key whose focused element has this attribute; set per key, so that Ctrl+S still saves.
    const guard = (event) => {
      if (this.box.contains(event.target))
        event.target.toggleAttribute(
          "data-lm-suppress-shortcuts",
          !(event.ctrlKey || event.metaKey || event.altKey),
        );
    };
    window.addEventListener("keydown", guard, true);
    const hidden = () => this.report();
    document.addEventListener("visibilitychange", hidden);
    const size = new ResizeObserver(() => this.later());
    size.observe(this.grid);
    const sight = new IntersectionObserver(([entry]) => {
      this.onScreen = entry.isIntersecting;
      this.report();
    });
    sight.observe(this.box);
    const severed = new MutationObserver(() => this.later());
    severed.observe(this.root, { attributes: true, attributeFilter: ["class"] });
    const ages = setInterval(() => this.later(), AGES_MS);
    this.remove = () => {
      this.store.listeners.delete(told);
      window.removeEventListener("keydown", guard, true);
      document.removeEventListener("visibilitychange", hidden);
      for (const observer of [size, sight, severed]) observer.disconnect();
      clearInterval(ages);
      for (const timer of [this.waiting, this.reporting]) clearTimeout(timer);
      cancelAnimationFrame(this.frame);
      this.model.send({ type: "sight", view: this.name, ids: [] });
    };
  }

  /** Draw with the next frame, however often it is asked for. */
  later(rowsChanged = false) {
    this.refilter ||= rowsChanged;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (this.refilter) this.filter();
      else this.draw();
      this.refilter = false;
      this.report();
    });
  }
}

export default () => {
  let store;
  return {
    initialize({ model }) {
      store = new Store(model);
    },
    render({ model, el }) {
      const view = new View(store, model, el);
      return () => view.remove();
    },
  };
};
