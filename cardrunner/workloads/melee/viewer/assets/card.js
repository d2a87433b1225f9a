// What one player is doing, in words and numbers, with the controller below.

const ENTROPY_FULL = 3;
/** What the action does not say itself. */
const CONDITION_CHIPS = { hitstun: "hitstun", shield: "shielding" };

class PlayerCard {
  constructor(match, player) {
    Object.assign(this, { match, player });
    this.name = element("span", { class: "who" });
    this.percent = element("span", { class: "percent" });
    this.stocks = element("span", { class: "stocks", role: "img" });
    this.action = element("span", { class: "action" });
    this.actionId = element("code", { class: "action-id" });
    this.chips = element("span", { class: "chips" });
    this.pad = new PadView(player);
    this.meters = {
      shield: new Meter("shield", 60),
      speed: new Meter("speed", 5),
      entropy: new Meter("entropy", ENTROPY_FULL),
    };
    this.guesses = GUESSES.map(() => new Guess());
    this.guessBox = element("div", { class: "guesses" }, element("h4", {}, "The model expected"));
    this.guessBox.append(...this.guesses.map((guess) => guess.node));
    this.node = this.assembled();
  }

  assembled() {
    const slot = `P${this.player}`;
    const title = element("h3", {}, badge(this.player), element("span", { class: "slot" }, slot), this.name);
    const called = this.match.agentOf(this.player);
    const agent = element("p", { class: "agent", title: called }, called);
    const score = element("p", { class: "score" }, this.percent, this.stocks);
    const doing = element("p", { class: "doing" }, this.action, this.actionId, this.chips);
    const meters = element("dl", { class: "meters" }, ...Object.values(this.meters).flatMap((meter) => meter.nodes));
    const facts = element("div", { class: "facts" }, title, agent, score, doing, meters, this.guessBox);
    return element("section", { class: `card p${this.player}`, "aria-label": slot }, facts, this.pad.box);
  }

  update(frame) {
    const { match, player } = this;
    const i = match.at(frame);
    const columns = match.players[player];
    const { words, name } = match.actionAt(i, player);
    put(this.name, match.characterAt(i, player));
    put(this.percent, Number.isNaN(columns.percent[i]) ? "–" : `${Math.round(columns.percent[i])}%`);
    this.drawStocks(columns.stocks[i]);
    put(this.action, capital(words));
    put(this.actionId, name);
    this.drawChips(i, columns);
    this.meters.shield.update(columns.shield[i], (value) => value.toFixed(0));
    this.meters.speed.update(columns.speed[i], (value) => value.toFixed(2));
    this.meters.entropy.update(columns.entropy[i], (value) => `${value.toFixed(2)} nats`);
    this.drawGuesses(columns, i);
    this.pad.update(match, i);
  }

  drawStocks(stocks) {
    const known = Number.isFinite(stocks) ? clamp(Math.round(stocks), 0, 9) : 0;
    const text = Number.isFinite(stocks) ? plural(known, "stock") : "stocks unknown";
    if (this.stocks.getAttribute("aria-label") === text) return;
    set(this.stocks, "aria-label", text);
    this.stocks.replaceChildren();
    for (let k = 0; k < Math.max(4, known); k += 1) {
      this.stocks.append(element("i", { class: k < known ? "life" : "life lost" }));
    }
  }

  drawChips(i, columns) {
    const condition = this.match.conditionAt(i, this.player);
    const inPlay = condition !== "dead" && condition !== "away";
    const chips = [
      CONDITION_CHIPS[condition],
      inPlay && columns.on_ground[i] === 0 && "airborne",
      inPlay && columns.on_ground[i] === 1 && "grounded",
      inPlay && this.match.offStage(i, this.player) && "off stage",
      inPlay && columns.invulnerable[i] === 1 && "invulnerable",
      columns.action_correct[i] === 0 && "wrong action",
      Number.isNaN(columns.position_error[i]) ? false : `off by ${columns.position_error[i].toFixed(1)} units`,
    ].filter(Boolean);
    const text = chips.join("|");
    if (this.chipText === text) return;
    this.chipText = text;
    this.chips.replaceChildren(...chips.map((chip) => element("span", { class: "chip" }, chip)));
  }

  drawGuesses(columns, i) {
    const unsure = columns.chance_0[i] < 0.9995;
    this.guessBox.classList.toggle("idle", !unsure);
    GUESSES.forEach((rank) => {
      const id = columns[`likely_${rank}`][i];
      const words = unsure && !Number.isNaN(id) ? this.match.action(id).words : "";
      this.guesses[rank].update(words, words ? columns[`chance_${rank}`][i] : NaN);
    });
  }

  /** One sentence about the frame. */
  words(frame) {
    const { match, player } = this;
    const i = match.at(frame);
    const percent = match.players[player].percent[i];
    const parts = [
      `P${player} ${match.characterAt(i, player)}`,
      Number.isNaN(percent) ? "" : `${Math.round(percent)} percent`,
      this.stocks.getAttribute("aria-label"),
      match.actionAt(i, player).words,
      match.players[player].facing[i] === 0 ? "facing left" : "facing right",
      this.pad.words(match, i),
    ];
    return parts.filter(Boolean).join(", ");
  }
}

class Meter {
  constructor(name, full) {
    this.full = full;
    this.bar = new Bar();
    this.value = element("span", { class: "number" });
    this.nodes = [element("dt", {}, name), element("dd", {}, this.bar.node, this.value)];
  }

  update(value, text) {
    put(this.value, Number.isFinite(value) ? text(value) : "–");
    this.bar.update(value / this.full);
  }
}

class Guess {
  constructor() {
    this.words = element("span", { class: "words" });
    this.chance = element("span", { class: "number" });
    this.bar = new Bar();
    this.node = element("p", { class: "guess" }, this.words, this.chance, this.bar.node);
  }

  update(words, chance) {
    put(this.words, words);
    put(this.chance, Number.isFinite(chance) ? `${Math.round(chance * 100)}%` : "");
    this.bar.update(chance);
  }
}
