// A controller drawn live: what is pressed is filled, what is not is hollow; sticks and shoulder move.

const GATE = 22;
const C_GATE = 17;
const PAD_BUTTONS = {
  L: { x: 22, y: 15, width: 30, height: 15 },
  R: { x: 178, y: 15, width: 30, height: 15 },
  Z: { x: 178, y: 35, width: 30, height: 11 },
  A: { x: 157, y: 72, r: 12 },
  B: { x: 136, y: 87, r: 8.5 },
  X: { x: 179, y: 66, r: 8.5 },
  Y: { x: 150, y: 50, r: 8.5 },
  D_UP: { x: 74, y: 94, width: 22, height: 12, text: "D↑" },
};

class PadView {
  constructor(player) {
    this.player = player;
    this.main = new Stick("main stick", 38, 60, GATE);
    this.c = new Stick("c-stick", 104, 76, C_GATE);
    this.shoulder = shape("rect", { class: "level", x: 46, y: 11, width: 0, height: 8 });
    const rail = shape("rect", { class: "rail", x: 46, y: 11, width: 108, height: 8, rx: 2 });
    this.buttons = Object.entries(PAD_BUTTONS).map(([name, place]) => [name, buttonShape(name, place)]);
    const drawn = this.buttons.map(([, node]) => node);
    const parts = [rail, this.shoulder, ...this.main.nodes, ...this.c.nodes, ...drawn];
    this.node = shape("svg", { class: `pad p${player}`, viewBox: "3 4 194 106", role: "img" }, ...parts);
    this.none = element("p", { class: "none" }, "This file records no controllers.");
    this.box = element("div", { class: "pad-box" }, this.node, this.none);
  }

  update(match, frame) {
    const i = match.at(frame);
    const columns = match.players[this.player];
    const recorded = !Number.isNaN(columns.main_x[i]);
    show(this.node, recorded);
    show(this.none, !recorded);
    if (!recorded) return;
    this.main.update(columns.main_x[i], columns.main_y[i]);
    this.c.update(columns.c_x[i], columns.c_y[i]);
    set(this.shoulder, "width", (108 * clamp(columns.shoulder[i] || 0, 0, 1)).toFixed(1));
    for (const [name, node] of this.buttons) node.classList.toggle("down", columns[name][i] > 0.5);
  }

  /** The same in words, for those who listen. */
  words(match, frame) {
    const i = match.at(frame);
    const columns = match.players[this.player];
    if (Number.isNaN(columns.main_x[i])) return "no controller recorded";
    const held = BUTTONS.filter((name) => columns[name][i] > 0.5).map((name) => name.replace("D_UP", "D-pad up"));
    const stick = `stick ${direction(columns.main_x[i], columns.main_y[i])}`;
    return held.length > 0 ? `${stick}, holds ${held.join(", ")}` : `${stick}, no button`;
  }
}

class Stick {
  constructor(name, x, y, radius) {
    Object.assign(this, { x, y, radius });
    this.line = shape("line", { class: "throw", x1: x, y1: y });
    this.knob = shape("circle", { class: "knob", r: radius * 0.36 });
    this.nodes = [shape("path", { class: "gate", d: octagon(x, y, radius) }), this.line, this.knob];
  }

  /** @param {number} across 0..1, 0.5 is the middle @param {number} up likewise */
  update(across, up) {
    const x = this.x + (clamp(across, 0, 1) - 0.5) * 2 * this.radius;
    const y = this.y - (clamp(up, 0, 1) - 0.5) * 2 * this.radius;
    set(this.knob, "cx", x.toFixed(1));
    set(this.knob, "cy", y.toFixed(1));
    set(this.line, "x2", x.toFixed(1));
    set(this.line, "y2", y.toFixed(1));
    this.knob.classList.toggle("down", Math.hypot(across - 0.5, up - 0.5) > 0.1);
  }
}

function buttonShape(name, { x, y, r, width, height, text }) {
  const outline = r
    ? shape("circle", { class: "key", cx: x, cy: y, r })
    : shape("rect", { class: "key", x: x - width / 2, y: y - height / 2, width, height, rx: height / 3 });
  return shape("g", { class: "button" }, outline, shape("text", { class: "letter", x, y: y + 3.2 }, text ?? name));
}

function octagon(x, y, radius) {
  const corners = Array.from({ length: 8 }, (_, k) => [Math.cos((k * Math.PI) / 4), Math.sin((k * Math.PI) / 4)]);
  return `M${corners.map(([a, b]) => `${(x + a * radius).toFixed(1)} ${(y + b * radius).toFixed(1)}`).join("L")}Z`;
}

function direction(across, up) {
  const far = (value) => Math.abs(value - 0.5) > 0.15;
  const words = [];
  if (far(up)) words.push(up > 0.5 ? "up" : "down");
  if (far(across)) words.push(across > 0.5 ? "right" : "left");
  return words.join(" ") || "centred";
}
