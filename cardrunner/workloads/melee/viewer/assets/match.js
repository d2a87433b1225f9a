// A match as columns. N frames; every column a Float32Array of N real values, NaN where the file says nothing.

/** Columns of each player, as the page's data and a dropped file give them. */
const PLAYER_COLUMNS = [
  "x", "y", "percent", "shield", "stocks", "facing", "invulnerable", "on_ground", "action", "character", "jumps_left",
  "speed", "entropy", "position_error", "action_correct", "ko", "velocity_clamped", "stock_protected",
  "main_x", "main_y", "c_x", "c_y", "shoulder", "A", "B", "X", "Y", "Z", "L", "R", "D_UP",
  "likely_0", "likely_1", "likely_2", "chance_0", "chance_1", "chance_2", "ghost_x", "ghost_y", "ghost_facing",
];
const BUTTONS = ["A", "B", "X", "Y", "Z", "L", "R", "D_UP"];
const GUESSES = [0, 1, 2];
const LAST_DEAD = 10;
const SLEEP = 11;
const REBIRTH = [12, 13];
const HITSTUN = [75, 91];
const GUARD = [178, 182];

const SOURCE_WORDS = {
  agent: "agents play",
  "teacher-forced": "model, shown the real frames",
  autoregressive: "model on its own",
};

class Match {
  /**
   * @param {{label: string, note: string, meta: object, geometry: object, summary: object, length: number,
   *   sources: string[], source: Float32Array, players: Object<string, Float32Array>[]}} parts
   */
  constructor(parts) {
    Object.assign(this, parts);
    this.events = eventsOf(this);
  }

  /** The frame to show at a moment: the last one of a match that is over. */
  at(frame) {
    return clamp(frame, 0, this.length - 1);
  }

  /** Who made a frame, in words. */
  sourceAt(frame) {
    return this.sourceWords(this.sources[this.source[this.at(frame)]] ?? "unknown");
  }

  sourceWords(name) {
    if (name !== "seed") return SOURCE_WORDS[name] ?? label(name, 40);
    const players = this.meta.seed_players === undefined ? "recorded play" : label(this.meta.seed_players, 40);
    return this.meta.mode === "replay" ? players : `${players} (seed)`;
  }

  characterAt(frame, player) {
    const known = NAMES.characters[this.players[player].character[this.at(frame)]];
    const stated = this.meta.characters?.[SLOTS[player]]?.name;
    return known ?? (stated === undefined ? "Fighter" : label(stated, 30));
  }

  agentOf(player) {
    const agent = this.meta[`${SLOTS[player]}_agent`];
    return agent === undefined ? "" : label(agent, 60);
  }

  /** What a player does in a frame: words for people, and the file's own name. */
  actionAt(frame, player) {
    return this.action(this.players[player].action[this.at(frame)]);
  }

  action(id) {
    const own = this.foreignNames?.get(id);
    if (own !== undefined && own !== NAMES.actions[id]) return { words: plainWords(own), name: label(own) };
    if (Number.isNaN(id)) return { words: "unknown action", name: "" };
    return { words: NAMES.labels[id] ?? "unknown action", name: NAMES.actions[id] ?? `ACTION_${id}` };
  }

  /** dead, away, back, shield, hitstun or playing. */
  conditionAt(frame, player) {
    const action = this.players[player].action[this.at(frame)];
    if (action <= LAST_DEAD) return "dead";
    if (action === SLEEP) return "away";
    if (action >= REBIRTH[0] && action <= REBIRTH[1]) return "back";
    if (action >= HITSTUN[0] && action <= HITSTUN[1]) return "hitstun";
    if (action >= GUARD[0] && action <= GUARD[1]) return "shield";
    return "playing";
  }

  offStage(frame, player) {
    const [left, right] = this.geometry.ground;
    const x = this.players[player].x[this.at(frame)];
    return x < left || x > right;
  }
}

/** Undo the packing of one column. */
function unpackColumn(packed, length) {
  const column = new Float32Array(length);
  if ("constant" in packed) return column.fill(packed.constant === null ? NaN : packed.constant);
  const kinds = { u8: Uint8Array, u16: Uint16Array, i16: Int16Array, f32: Float32Array };
  const values = new kinds[packed.kind](bytesOf(packed.data).buffer);
  const { scale, missing } = packed;
  for (let i = 0; i < length; i += 1) column[i] = values[i] === missing ? NaN : values[i] * scale;
  return column;
}

function bytesOf(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** A match of the page's own data. */
function unpackMatch(packed) {
  const column = (name) => unpackColumn(name, packed.length);
  const players = [0, 1].map((player) =>
    Object.fromEntries(PLAYER_COLUMNS.map((name) => [name, column(packed.columns[name][player])])),
  );
  const { label: called, note, meta, summary, length, sources } = packed;
  const geometry = geometryOf(packed.stage_geometry, called);
  const source = column(packed.source);
  return new Match({ label: called, note, meta, geometry, summary, length, sources, source, players });
}
