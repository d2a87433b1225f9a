// One match: its heading, the stage and both players.

class MatchView {
  /**
   * @param {string} letter tells two matches apart: A or B
   * @param {(() => void) | null} remove closes this view again; null for the first match
   */
  constructor(match, letter, remove) {
    this.match = match;
    this.letter = letter;
    this.stage = new StageView(match);
    this.cards = [new PlayerCard(match, 0), new PlayerCard(match, 1)];
    this.source = element("span", { class: "source" });
    this.ended = element("p", { class: "ended" }, "This match is over");
    const tag = element("span", { class: "letter-tag" }, letter);
    const title = element("span", { class: "title" }, match.label);
    const heading = element("h2", { title: match.note }, tag, title, this.source);
    if (remove) heading.append(closing(match, remove));
    const arena = element("div", { class: "arena" }, this.stage.node, this.ended);
    const [first, second] = this.cards.map((card) => card.node);
    this.node = element("article", { class: "view", "aria-label": match.label }, heading, first, arena, second);
  }

  update(frame) {
    const { match } = this;
    put(this.source, match.sourceAt(frame));
    this.source.classList.toggle("seed", match.sources[match.source[match.at(frame)]] === "seed");
    show(this.ended, frame >= match.length);
    this.stage.update(match.at(frame));
    for (const card of this.cards) card.update(frame);
  }

  /** What the frame shows, in words. */
  words(frame) {
    const who = `${this.match.label}, ${this.match.sourceAt(frame)}`;
    return `${who}: ${this.cards.map((card) => card.words(frame)).join("; ")}`;
  }

  /** Give the picture of the stage its words; done at rest only, since it is long. */
  describe(frame) {
    const { name } = this.match.geometry;
    set(this.stage.node, "aria-label", `${name || "The stage"}. ${this.words(frame)}`);
    for (const { pad, player } of this.cards) {
      set(pad.node, "aria-label", `Controller of P${player}: ${pad.words(this.match, frame)}`);
    }
  }
}

function closing(match, remove) {
  const name = `Stop comparing with ${match.label}`;
  const button = element("button", { type: "button", class: "quiet close", "aria-label": name }, "✕");
  button.addEventListener("click", remove);
  return button;
}
