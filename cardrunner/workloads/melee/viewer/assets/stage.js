// The stage to scale: one unit of the drawing is one game unit, up is negative.

const MARGIN = 0.045;
const SLAB = 9;
/** The least width of the close-up in units, and the number of frames it averages ahead and back. */
const CLOSEST = 190;
const AIR = 70;
const TAG = 24;
const CAMERA_FRAMES = 24;

class StageView {
  constructor(match) {
    this.match = match;
    this.closeUp = false;
    this.fighters = [new FighterView(0), new FighterView(1)];
    this.scenery = shape("g", {});
    this.node = shape("svg", { class: "stage", role: "img", preserveAspectRatio: "xMidYMid meet" });
    const names = this.fighters.map((fighter) => fighter.tag);
    this.node.append(this.scenery, ...this.fighters.map((fighter) => fighter.node), ...names);
    this.pixels = 1.5;
    this.size = { width: 600, height: 400 };
    this.drawScenery();
  }

  resize() {
    const { width, height } = this.node.getBoundingClientRect();
    if (width > 0 && height > 0) this.size = { width, height };
    this.drawScenery();
  }

  /** The whole stage with a margin around its blast zones: [x, y, width, height]. */
  whole() {
    const { left, right, top, bottom } = this.match.geometry.blast;
    const margin = (right - left) * MARGIN;
    return [left - margin, -top - margin, right - left + 2 * margin, top - bottom + 2 * margin];
  }

  update(frame) {
    const box = this.closeUp ? this.camera(frame) : this.whole();
    this.pixels = Math.min(this.size.width / box[2], this.size.height / box[3]);
    set(this.node, "viewBox", box.map((number) => number.toFixed(2)).join(" "));
    const apart = this.tagsApart(frame);
    this.fighters.forEach((fighter, k) => fighter.update(this.match, frame, this.pixels, k === 0 ? -apart : apart));
  }

  /** How far their names move to the side, in pixels, where they would cover each other; player 0's to the left. */
  tagsApart(frame) {
    const [first, second] = this.match.players;
    const across = (second.x[frame] - first.x[frame]) * this.pixels;
    const up = (second.y[frame] - first.y[frame]) * this.pixels;
    return Math.abs(across) < TAG && Math.abs(up) < TAG ? (TAG - Math.abs(across)) / 2 : 0;
  }

  /** Around both fighters, averaged over the frames nearby: it moves like a camera, and any frame can be sought. */
  camera(frame) {
    const sums = [0, 0, 0, 0];
    let count = 0;
    for (let k = frame - CAMERA_FRAMES; k <= frame + CAMERA_FRAMES; k += 4) {
      this.around(clamp(k, 0, this.match.length - 1)).forEach((edge, side) => (sums[side] += edge));
      count += 1;
    }
    const now = this.around(frame);  // both players stay in the picture, whatever the average
    const west = Math.min(sums[0] / count, now[0]);
    const east = Math.max(sums[1] / count, now[1]);
    const low = Math.min(sums[2] / count, now[2]);
    const high = Math.max(sums[3] / count, now[3]);
    const aspect = this.size.width / this.size.height;
    const width = Math.max(east - west + AIR, (high - low + AIR) * aspect, CLOSEST);
    return [(west + east) / 2 - width / 2, -(low + high) / 2 - width / aspect / 2 - TALL / 2, width, width / aspect];
  }

  /** The box of both fighters in a frame, inside the blast zones: west, east, low, high. */
  around(frame) {
    const { left, right, top, bottom } = this.match.geometry.blast;
    const xs = this.match.players.map(({ x }) => clamp(x[frame], left, right));
    const ys = this.match.players.map(({ y }) => clamp(y[frame], bottom, top));
    return [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  }

  drawScenery() {
    const { geometry } = this.match;
    const { left, right, top, bottom } = geometry.blast;
    const whole = this.whole();
    this.pixels = Math.min(this.size.width / whole[2], this.size.height / whole[3]);
    const small = 11 / this.pixels;
    const zone = shape("rect", { class: "zone", x: left, y: -top, width: right - left, height: top - bottom });
    const corner = { class: "note", x: left + small, y: -top + 1.6 * small, "font-size": small };
    const name = shape("text", corner, "blast zone");
    const platforms = geometry.platforms.map(({ range, y }) =>
      shape("rect", { class: "platform", x: range[0], y: -y, width: range[1] - range[0], height: 2.4, rx: 1 }),
    );
    this.scenery.replaceChildren(zone, name, groundOf(geometry), ...platforms, ...scaleBar(geometry, small));
  }
}

/** The main ground: exact above, its underside only hinted at. */
function groundOf({ ground: [left, right], y, blast }) {
  const depth = Math.min(SLAB * 3, (y - blast.bottom) * 0.5);
  const inset = (right - left) * 0.16;
  const eastern = `L${right - inset / 3} ${SLAB - y}L${right - inset} ${depth - y}`;
  const western = `H${left + inset}L${left + inset / 3} ${SLAB - y}Z`;
  return shape("path", { class: "ground", d: `M${left} ${-y}H${right}${eastern}${western}` });
}

function scaleBar({ blast }, small) {
  const [x, y] = [blast.right - 50 - small, -blast.bottom - small];
  const bar = shape("path", { class: "scale", d: `M${x} ${y - small / 2}V${y}H${x + 50}V${y - small / 2}` });
  const above = { class: "note", x: x + 50, y: y - small * 0.7, "font-size": small, "text-anchor": "end" };
  return [bar, shape("text", above, "50 units")];
}
