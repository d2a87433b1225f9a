// Wires the page: its own matches, a second one beside the first, keys, buttons, dropped files.

const payload = JSON.parse(document.getElementById("payload").textContent);
const NAMES = payload.names;

class App {
  constructor() {
    this.own = payload.matches.map((packed) => once(() => unpackMatch(packed)));
    this.views = [];
    this.playback = new Playback((frame, resting) => this.changed(frame, resting));
    this.timeline = new Timeline((frame) => this.playback.seek(frame));
    byId("timeline").append(this.timeline.node);
    this.wireTransport();
    listenForFiles((files) => this.take(files));
    listenForKeys(this);
    this.wireLook();
    this.fillChoices();
    new ResizeObserver(() => this.resized()).observe(byId("views"));
    if (this.own.length > 0) this.open(this.own[0]());
    else this.arrange();
    const asked = /^#t=(\d{1,7})$/.exec(location.hash);
    if (asked) this.playback.seek(Number(asked[1]));
  }

  // ---------------------------------------------------------------- which matches

  open(match) {
    this.views = [new MatchView(match, "A", null)];
    this.arrange();
  }

  compare(match) {
    if (this.views.length === 0) {
      this.open(match);
      return;
    }
    this.views = [this.views[0], new MatchView(match, "B", () => this.alone())];
    this.arrange();
  }

  alone() {
    this.views = this.views.slice(0, 1);
    byId("choice").value = "";
    this.arrange();
  }

  /** Show what `views` holds. */
  arrange() {
    const any = this.views.length > 0;
    document.body.classList.toggle("empty", !any);
    document.body.classList.toggle("comparing", this.views.length > 1);
    byId("views").replaceChildren(...this.views.map((view) => view.node));
    const length = Math.max(1, ...this.views.map((view) => view.match.length));
    this.playback.length = length;
    this.headline();
    byId("about").replaceChildren(...factList(this.views));
    this.listEvents();
    this.resized();
    this.timeline.setViews(this.views, length);
    this.playback.seek(this.playback.frame);
  }

  headline() {
    const match = this.views[0]?.match;
    if (!match) return;
    const start = match.length - 1;
    put(byId("title"), `${match.characterAt(start, 0)} against ${match.characterAt(start, 1)}`);
    const agents = [0, 1].map((player) => match.agentOf(player)).filter(Boolean);
    const world = match.meta.model_name === undefined ? "" : `in ${label(match.meta.model_name, 40)}`;
    put(byId("subtitle"), [match.geometry.name, agents.join(" against "), world].filter(Boolean).join(" · "));
  }

  fillChoices() {
    byId("choice").append(element("option", { value: "" }, "Compare with …"));
    payload.matches.slice(1).forEach((packed, k) => {
      byId("choice").append(element("option", { value: String(k + 1) }, packed.label));
    });
    show(byId("choose"), payload.matches.length > 1);
    byId("choice").addEventListener("change", () => {
      const chosen = byId("choice").value;
      if (chosen === "") this.alone();
      else this.compare(this.own[Number(chosen)]());
    });
  }

  async take(files) {
    if (files.length === 0) return;
    this.say(`Reading ${label(files[0].name, 60)} …`);
    try {
      const match = await readMatchColumns(files[0]);
      this.compare(match);
      byId("choice").value = "";
      const where = this.views.length > 1 ? ", shown beside the first match" : "";
      this.say(`${match.label}: ${plural(match.length, "frame")}${where}.`);
    } catch (error) {
      if (!(error instanceof Unreadable)) console.error(error);
      this.say(error instanceof Unreadable ? error.message : "This file cannot be shown; it is not a match file.", true);
    }
  }

  // ---------------------------------------------------------------- showing a frame

  changed(frame, resting) {
    for (const view of this.views) view.update(frame);
    const words = resting ? this.views.map((view) => view.words(frame)).join(". ") : "";
    this.timeline.update(frame, words);
    if (resting) this.views.forEach((view) => view.describe(frame));
    put(byId("time"), clock(frame));
    put(byId("length"), clock(this.playback.length - 1));
    if (document.activeElement !== byId("frame")) byId("frame").value = String(frame);
    byId("speed").value = String(this.playback.speed);
    byId("play").classList.toggle("playing", this.playback.playing);
    set(byId("play"), "aria-label", this.playback.playing ? "Pause" : "Play");
  }

  resized() {
    for (const view of this.views) {
      view.stage.resize();
      view.stage.update(view.match.at(this.playback.frame));
    }
    this.timeline.draw();
    this.timeline.update(this.playback.frame, "");
  }

  listEvents() {
    const fill = () => byId("events").replaceChildren(...eventList(this.views, (frame) => this.playback.seek(frame)));
    if (byId("happened").open) fill();
    byId("happened").ontoggle = () => byId("happened").open && fill();
  }

  toEvent(direction) {
    const now = this.playback.frame;
    const frames = this.views.flatMap(({ match }) => match.events.map((event) => event.frame));
    const there = frames.filter((frame) => (direction > 0 ? frame > now : frame < now));
    this.playback.pause();
    if (there.length > 0) this.playback.seek(direction > 0 ? Math.min(...there) : Math.max(...there));
  }

  closeUp() {
    const on = byId("close-up").getAttribute("aria-pressed") !== "true";
    set(byId("close-up"), "aria-pressed", on);
    for (const view of this.views) view.stage.closeUp = on;
    this.playback.seek(this.playback.frame);
  }

  say(text, wrong = false) {
    put(byId("message-text"), text);
    byId("message").classList.toggle("wrong", wrong);
    show(byId("message"), text !== "");
    clearTimeout(this.silence);
    if (!wrong && text) this.silence = setTimeout(() => this.say(""), 3500);
  }

  // ---------------------------------------------------------------- hands

  wireTransport() {
    const { playback } = this;
    const actions = {
      play: () => playback.toggle(),
      back: () => playback.step(-1),
      forward: () => playback.step(1),
      "event-back": () => this.toEvent(-1),
      "event-forward": () => this.toEvent(1),
      "close-up": () => this.closeUp(),
    };
    for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
    byId("speed").append(...SPEEDS.map((speed) => element("option", { value: String(speed) }, `${speed}×`)));
    byId("speed").addEventListener("change", () => {
      playback.speed = Number(byId("speed").value);
    });
    byId("frame").addEventListener("change", () => {
      const asked = Number.parseInt(byId("frame").value, 10);
      playback.pause();
      playback.seek(Number.isFinite(asked) ? asked : playback.frame);
      byId("frame").value = String(playback.frame);
    });
    byId("message-close").addEventListener("click", () => this.say(""));
  }

  wireLook() {
    byId("help-open").addEventListener("click", () => byId("help").showModal());
    byId("theme").addEventListener("click", () => {
      const { dataset } = document.documentElement;
      const dark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      dataset.theme = dark ? "light" : "dark";
    });
  }
}

new App();
