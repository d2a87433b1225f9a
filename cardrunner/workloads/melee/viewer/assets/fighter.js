// A fighter on the stage. Player 0 is a filled capsule, player 1 a hollow hexagon; the wedge points where it looks.

/** Height of a fighter in game units, and the least height on the screen in pixels. */
const TALL = 14;
const LEAST_PIXELS = 26;
const FLASH = 8;
/** Frames of the trail behind a fighter; it breaks where one is put elsewhere, such as after a KO. */
const TRAIL = 28;
const LEAP = 40;

class FighterView {
  constructor(player) {
    this.player = player;
    this.trail = shape("polyline", { class: "trail" });
    this.ghost = shape("g", { class: "ghost" }, bodyOf(player), wedgeOf(player));
    this.shield = shape("circle", { class: "bubble", cy: -TALL / 2 });
    this.ring = shape("circle", { class: "ring", cy: -TALL / 2, r: 11.5 });
    this.flash = shape("path", { class: "flash", d: burst(0, -TALL / 2, 9, 15) });
    this.halo = shape("path", { class: "halo", d: "M-9 1.6H9" });
    this.wedge = wedgeOf(player);
    const parts = [this.halo, bodyOf(player), this.wedge, this.shield, this.ring, this.flash];
    this.body = shape("g", { class: "body" }, ...parts);
    this.out = shape("path", { class: "out", d: "M-5 -5L5 5M-5 5L5 -5" });
    this.tag = shape("text", { class: `tag p${player}` }, `P${player}`);
    this.node = shape("g", { class: `fighter p${player}` }, this.trail, this.ghost, this.body, this.out);
  }

  /**
   * @param {number} pixels of the screen for one game unit
   * @param {number} aside how far its name moves to the right, in pixels
   */
  update(match, frame, pixels, aside) {
    const i = match.at(frame);
    const columns = match.players[this.player];
    const condition = match.conditionAt(i, this.player);
    const scale = Math.max(1, LEAST_PIXELS / (TALL * pixels));
    const gone = condition === "dead" || condition === "away";
    const [x, y] = [columns.x[i], columns.y[i]];
    show(this.body, !gone);
    show(this.out, condition === "dead");
    set(this.body, "transform", `translate(${x.toFixed(2)} ${(-y).toFixed(2)}) scale(${scale.toFixed(3)})`);
    set(this.wedge, "transform", columns.facing[i] === 0 ? "scale(-1 1)" : "");
    this.states(condition, columns, i);
    this.outOfBounds(match, x, y, scale);
    this.tagAt(x + aside / pixels, y, scale, pixels, gone);
    this.drawTrail(columns, i, gone);
    this.drawGhost(columns, i, scale);
  }

  states(condition, columns, i) {
    const shielding = condition === "shield";
    show(this.shield, shielding);
    if (shielding) set(this.shield, "r", (5 + 5 * clamp(columns.shield[i] / 60, 0, 1)).toFixed(2));
    show(this.ring, columns.invulnerable[i] === 1 && condition !== "shield");
    show(this.halo, condition === "back");
    show(this.flash, this.hitRecently(columns, i));
  }

  hitRecently(columns, i) {
    for (let k = i; k > Math.max(0, i - FLASH); k -= 1) {
      if (columns.stocks[k] < columns.stocks[k - 1]) return false;
      if (columns.percent[k] - columns.percent[k - 1] >= 0.5) return true;
    }
    return false;
  }

  outOfBounds(match, x, y, scale) {
    const { left, right, top, bottom } = match.geometry.blast;
    const at = `translate(${clamp(x, left, right).toFixed(1)} ${(-clamp(y, bottom, top)).toFixed(1)})`;
    set(this.out, "transform", `${at} scale(${scale.toFixed(3)})`);
  }

  tagAt(x, y, scale, pixels, gone) {
    show(this.tag, !gone);
    set(this.tag, "x", x.toFixed(2));
    set(this.tag, "y", (-y - TALL * scale - 5 / pixels).toFixed(2));
    set(this.tag, "font-size", (12 / pixels).toFixed(2));
  }

  drawTrail(columns, i, gone) {
    const points = [];
    for (let k = Math.max(0, i - TRAIL); k <= i && !gone; k += 2) {
      const moved = k < 2 ? 0 : Math.hypot(columns.x[k] - columns.x[k - 2], columns.y[k] - columns.y[k - 2]);
      if (moved > LEAP) points.length = 0;
      points.push(`${columns.x[k].toFixed(1)},${(-columns.y[k] - TALL / 2).toFixed(1)}`);
    }
    set(this.trail, "points", points.join(" "));
  }

  drawGhost(columns, i, scale) {
    const seen = !Number.isNaN(columns.ghost_x[i]) && !Number.isNaN(columns.ghost_y[i]);
    show(this.ghost, seen);
    if (!seen) return;
    const turn = columns.ghost_facing[i] === 0 ? -scale : scale;
    const place = `translate(${columns.ghost_x[i].toFixed(2)} ${(-columns.ghost_y[i]).toFixed(2)})`;
    set(this.ghost, "transform", `${place} scale(${turn.toFixed(3)} ${scale.toFixed(3)})`);
  }
}

/** The shape that stands for a player everywhere: feet at the origin, TALL high. */
function bodyOf(player) {
  if (player === 0) return shape("rect", { class: "torso", x: -4.5, y: -TALL, width: 9, height: TALL, rx: 4.5 });
  return shape("path", { class: "torso", d: `M-3 0H3L5.6 ${-TALL / 2}L3 ${-TALL}H-3L-5.6 ${-TALL / 2}Z` });
}

function wedgeOf(player) {
  const edge = player === 0 ? 5.2 : 5.4;
  return shape("path", { class: "wedge", d: `M${edge} -11.2L${edge + 5} -8.2L${edge} -5.2Z` });
}

/** A star of eight short strokes. */
function burst(x, y, inner, outer) {
  const point = (angle, radius) =>
    `${(x + Math.cos(angle) * radius).toFixed(1)} ${(y + Math.sin(angle) * radius).toFixed(1)}`;
  const angles = Array.from({ length: 8 }, (_, k) => ((k + 0.5) * Math.PI) / 4);
  return angles.map((angle) => `M${point(angle, inner)}L${point(angle, outer)}`).join("");
}

/** The small sign beside a player's name. */
function badge(player) {
  const attributes = { class: `badge p${player}`, viewBox: "-8 -16 18 18", "aria-hidden": "true" };
  return shape("svg", attributes, bodyOf(player), wedgeOf(player));
}
