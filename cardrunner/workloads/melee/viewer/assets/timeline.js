// The whole match at a glance: who made which frames, percent and events of both players, entropy. It is clicked or
// dragged to seek.

const GUTTER = 58;
const EDGE = 10;
const LEAST_RUN = 5;
const LEAST_TEXT = 130;
const PERCENT_FULL = 160;
const MARKS = { ko: "M-4 -4L4 4M-4 4L4 -4", fall: "M-4 -3H4L0 4Z", protected: "M0 -4L4 0L0 4L-4 0Z" };

class Timeline {
  /** @param {(frame: number) => void} seek */
  constructor(seek) {
    this.seek = seek;
    this.lanes = shape("g", {});
    this.head = shape("g", { class: "head" }, shape("line", { y1: 0 }), shape("path", { d: "M-5 0H5V5L0 10L-5 5Z" }));
    this.hover = shape("g", { class: "hover", hidden: "" }, shape("line", { y1: 0 }), shape("text", { y: 9 }));
    this.drawing = shape("svg", { class: "lanes", "aria-hidden": "true" }, this.lanes, this.hover, this.head);
    const slider = { class: "timeline", role: "slider", tabindex: "0", "aria-label": "Frame of the match" };
    this.node = element("div", slider, this.drawing);
    this.views = [];
    this.length = 1;
    this.width = 600;
    this.listen();
  }

  /** @param {MatchView[]} views one or two, drawn below one another */
  setViews(views, length) {
    this.views = views;
    this.length = length;
    set(this.node, "aria-valuemin", 0);
    set(this.node, "aria-valuemax", Math.max(length - 1, 0));
    this.draw();
  }

  listen() {
    const frameAt = (event) => {
      const inside = event.clientX - this.drawing.getBoundingClientRect().left - GUTTER;
      return clamp(Math.round((inside / this.inner()) * (this.length - 1)), 0, this.length - 1);
    };
    this.node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.node.setPointerCapture(event.pointerId);
      this.seek(frameAt(event));
    });
    this.node.addEventListener("pointermove", (event) => {
      this.point(frameAt(event));
      if (this.node.hasPointerCapture(event.pointerId)) this.seek(frameAt(event));
    });
    this.node.addEventListener("pointerleave", () => show(this.hover, false));
  }

  /** A phone: room for the lanes of both players, and no more. */
  narrow() {
    return this.width < 480;
  }

  inner() {
    return Math.max(this.width - GUTTER - EDGE, 50);
  }

  place(frame) {
    return GUTTER + (this.inner() * frame) / Math.max(this.length - 1, 1);
  }

  point(frame) {
    show(this.hover, true);
    const [line, text] = this.hover.children;
    set(line, "y2", this.height);
    const x = this.place(frame);
    set(this.hover, "transform", `translate(${x.toFixed(1)} 0)`);
    put(text, clock(frame));
    const late = x > this.width - 70;
    set(text, "x", late ? -5 : 5);
    set(text, "text-anchor", late ? "end" : "start");
  }

  update(frame, words) {
    set(this.head, "transform", `translate(${this.place(frame).toFixed(1)} 0)`);
    set(this.node, "aria-valuenow", frame);
    const where = `frame ${frame} of ${this.length - 1}, ${clock(frame)}`;
    set(this.node, "aria-valuetext", words ? `${where}. ${words}` : where);
  }

  draw() {
    this.width = this.node.clientWidth || this.width;
    const tight = this.views.length > 1;
    const parts = [];
    let y = 0;
    for (const { match, letter } of this.views) {
      const [nodes, used] = this.drawMatch(match, y, tight ? letter : "");
      parts.push(...nodes);
      y += used + 6;
    }
    this.height = Math.max(y - 6, 10);
    this.lanes.replaceChildren(...parts);
    set(this.drawing, "viewBox", `0 0 ${this.width} ${this.height}`);
    set(this.drawing, "height", this.height);
    set(this.head.firstChild, "y2", this.height);
  }

  /**
   * @param {string} letter of the match; empty where there is only one
   * @returns {[SVGElement[], number]} the drawing from y on, and its height
   */
  drawMatch(match, top, letter) {
    const tight = letter !== "";
    const lane = tight || this.narrow() ? 17 : 25;
    const nodes = this.drawSources(match, top, tight ? `match ${letter}` : "made by");
    let y = top + 14;
    for (const player of [0, 1]) {
      nodes.push(...this.drawPlayer(match, player, y, lane));
      y += lane + 3;
    }
    const uncertain = match.players.some(({ entropy }) => entropy.some((value) => value > 0.005));
    if (uncertain && !tight && !this.narrow()) {
      nodes.push(...this.drawEntropy(match, y, 20));
      y += 23;
    }
    return [nodes, y - top];
  }

  name(text, y, kind = "") {
    return shape("text", { class: `lane-name ${kind}`, x: GUTTER - 8, y }, text);
  }

  drawSources(match, y, title) {
    const nodes = [this.name(title, y + 9)];
    for (const [start, stop, source] of runsOf(match.source)) {
      const name = match.sources[source] ?? "unknown";
      const kind = name === "seed" ? "seed" : "made";
      const x = this.place(start);
      const width = Math.max(this.place(Math.min(stop, this.length - 1)) - x, LEAST_RUN);
      nodes.push(shape("rect", { class: `made-by ${kind}`, x, y: y + 1, width, height: 10, rx: 2 }));
      const place = { class: `made-text ${kind}`, x: x + 6, y: y + 9 };
      if (width > LEAST_TEXT) nodes.push(shape("text", place, match.sourceWords(name)));
    }
    return nodes;
  }

  drawPlayer(match, player, y, height) {
    const low = y + height;
    const base = shape("line", { class: "base", x1: GUTTER, x2: this.place(match.length - 1), y1: low, y2: low });
    const curve = this.areaOf(match.players[player].percent, y, height, PERCENT_FULL);
    const area = shape("path", { class: "area", d: curve });
    const hits = shape("path", { class: "hits", d: this.hitsOf(match, player, low) });
    const marks = match.events
      .filter((event) => event.player === player && event.kind in MARKS)
      .map((event) => this.mark(event, y, height));
    const lane = shape("g", { class: `p${player}` }, base, area, hits, ...marks);
    return [this.name(`P${player} %`, y + height / 2 + 4), lane];
  }

  mark(event, y, height) {
    const x = this.place(event.frame).toFixed(1);
    const { kind } = event;
    const title = shape("title", {}, `${clock(event.frame)} ${event.text}`);
    const sign = shape("path", { class: `sign ${kind}`, d: MARKS[kind], transform: `translate(${x} ${y + 6})` });
    if (kind === "protected") return shape("g", {}, title, sign);
    return shape("g", {}, title, shape("line", { class: "loss", x1: x, x2: x, y1: y, y2: y + height }), sign);
  }

  hitsOf(match, player, y) {
    const hits = match.events.filter((event) => event.player === player && event.kind === "hit");
    const places = hits.map((event) => Math.round(this.place(event.frame)));
    return [...new Set(places)].map((x) => `M${x}.5 ${y}v-5`).join("");
  }

  /** A filled curve: of all frames in one pixel the largest value. */
  areaOf(values, y, height, full) {
    const { length } = values;
    const last = length - 1;
    const columns = Math.max(Math.ceil(this.place(last) - GUTTER), 1);
    const points = [];
    for (let pixel = 0; pixel <= columns; pixel += 1) {
      const first = Math.floor((pixel / (columns + 1)) * length);
      const beyond = Math.max(Math.floor(((pixel + 1) / (columns + 1)) * length), first + 1);
      let most = 0;
      for (let i = first; i < beyond && i <= last; i += 1) if (values[i] > most) most = values[i];
      points.push(`${GUTTER + pixel} ${(y + height - height * clamp(most / full, 0, 1)).toFixed(1)}`);
    }
    return `M${GUTTER} ${y + height}L${points.join("L")}L${GUTTER + columns} ${y + height}Z`;
  }

  drawEntropy(match, y, height) {
    const [first, second] = match.players.map(({ entropy }) => entropy);
    const both = Float32Array.from(first, (value, i) => Math.max(value || 0, second[i] || 0));
    const area = shape("path", { class: "area entropy", d: this.areaOf(both, y, height, ENTROPY_FULL) });
    return [this.name("entropy", y + height / 2 + 4), area];
  }
}

/** Stretches of one value: [first, beyond, value]. */
function runsOf(values) {
  const runs = [];
  let start = 0;
  for (let i = 1; i <= values.length; i += 1) {
    if (i < values.length && values[i] === values[start]) continue;
    runs.push([start, i, values[start]]);
    start = i;
  }
  return runs;
}
