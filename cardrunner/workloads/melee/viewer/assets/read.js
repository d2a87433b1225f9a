// Reads a dropped match file. Its content is untrusted: it becomes numbers and text, or an error sentence.

const READS_FORMAT = 1;
const MOST_BYTES = 400e6;
const MOST_FRAMES = 600_000;
const MOST_PLATFORMS = 50;
const FARTHEST = 20_000;
const PAD = ["main_x", "main_y", "c_x", "c_y", "shoulder", ...BUTTONS];
/** Columns that a file calls the same. */
const PLAIN = [
  "x", "y", "percent", "shield", "stocks", "invulnerable", "on_ground", "action", "character", "jumps_left",
  "position_error", "action_correct",
];

/** Why a file cannot be shown, as a sentence for people. */
class Unreadable extends Error {}

/**
 * @param {File} file
 * @returns {Promise<Match>}
 * @throws {Unreadable}
 */
async function readMatchColumns(file) {
  const name = label(file.name, 60);
  if (file.size > MOST_BYTES) {
    const [size, most] = [file.size, MOST_BYTES].map((bytes) => `${Math.round(bytes / 1e6)} MB`);
    throw new Unreadable(`${name} has ${size}; this page reads match files up to ${most}. Make a shorter match.`);
  }
  let text;
  try {
    text = await file.text();
  } catch {
    throw new Unreadable(`${name} cannot be read; it may be a folder, or have moved. Choose it again.`);
  }
  return matchOf(parsed(text, name), name);
}

function parsed(text, name) {
  if (text.trim() === "") throw new Unreadable(`${name} is empty. Choose a match file (match.json).`);
  if (/^\s*</.test(text)) {
    throw new Unreadable(`${name} is a page, not a match file. Drop the match.json that lies beside it.`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Unreadable(`${name} is not complete, strict JSON (cut off, or with NaN in it). Write the match file again.`);
  }
}

function matchOf(content, name) {
  if (!isObject(content) || !Array.isArray(content.frames)) {
    throw new Unreadable(`${name} is not a match file: it has no list of frames beside meta and stage_geometry.`);
  }
  const meta = isObject(content.meta) ? content.meta : {};
  const version = meta.format_version ?? READS_FORMAT;
  if (version !== READS_FORMAT) {
    const differ = `${name} is of format version ${label(version, 20)}; this page reads version ${READS_FORMAT}`;
    throw new Unreadable(`${differ}. Make the page again with the version that wrote the file.`);
  }
  const { frames } = content;
  if (frames.length === 0) throw new Unreadable(`${name} has no frames.`);
  if (frames.length > MOST_FRAMES) {
    const [size, most] = [plural(frames.length, "frame"), thousands(MOST_FRAMES)];
    throw new Unreadable(`${name} has ${size}; this page shows up to ${most}. Make a shorter match.`);
  }
  const geometry = geometryOf(content.stage_geometry, name);
  const summary = isObject(content.summary) ? content.summary : {};
  return new Match({ label: name, note: "", meta, geometry, summary, ...columnsOf(frames, name) });
}

/** The stage in game units. */
function geometryOf(stage, name) {
  const fail = () => {
    const wanted = "stage_geometry needs ground_x_range and blast_zones";
    throw new Unreadable(`${name} says nothing usable about its stage: ${wanted}.`);
  };
  if (!isObject(stage) || !isObject(stage.blast_zones)) fail();
  const { left, right, top, bottom } = stage.blast_zones;
  const ground = rangeOf(stage.ground_x_range) ?? fail();
  if (![left, right, top, bottom].every(isPlace) || left >= right || bottom >= top) fail();
  const platforms = (Array.isArray(stage.platforms) ? stage.platforms : [])
    .slice(0, MOST_PLATFORMS)
    .map((platform) => ({ range: rangeOf(platform?.x_range), y: platform?.y }))
    .filter(({ range, y }) => range !== undefined && isPlace(y));
  const y = isPlace(stage.ground_y) ? stage.ground_y : 0;
  return { name: label(stage.name ?? "", 40), ground, y, platforms, blast: { left, right, top, bottom } };
}

function rangeOf(value) {
  return Array.isArray(value) && value.length === 2 && value.every(isPlace) && value[0] < value[1] ? value : undefined;
}

function columnsOf(frames, name) {
  const length = frames.length;
  const fresh = () => Object.fromEntries(PLAYER_COLUMNS.map((column) => [column, new Float32Array(length).fill(NaN)]));
  const players = [fresh(), fresh()];
  const sources = [];
  const source = new Float32Array(length);
  const foreignNames = new Map();
  frames.forEach((frame, i) => {
    const shown = frame?.predicted ?? frame?.actual;
    if (!isObject(shown)) throw new Unreadable(`${name}: frame ${i} has neither actual nor predicted players.`);
    source[i] = numberOf(sources, typeof frame.source === "string" ? frame.source : "unknown");
    SLOTS.forEach((slot, player) => {
      const place = `${name}: frame ${i}, ${slot}`;
      if (!isObject(shown[slot])) throw new Unreadable(`${place} is missing.`);
      fillPlayer(players[player], i, shown[slot], place);
      fillEvents(players[player], i, frame.harness_events?.[slot]);
      if (frame.predicted && frame.actual) fillGhost(players[player], i, frame.actual[slot]);
      const { action, action_name: called } = shown[slot];
      if (typeof called === "string" && Number.isInteger(action)) foreignNames.set(action, called);
    });
  });
  return { length, players, sources, source, foreignNames };
}

function numberOf(names, name) {
  const known = names.indexOf(name);
  return known >= 0 ? known : names.push(name) - 1;
}

function fillPlayer(columns, i, player, place) {
  for (const axis of ["x", "y"]) {
    if (!isPlace(player[axis])) throw new Unreadable(`${place}: ${axis} is not a place on a stage.`);
  }
  for (const name of PLAIN) columns[name][i] = real(player[name]);
  columns.facing[i] = real(player.facing_right ?? player.facing);
  columns.speed[i] = real(player.speed_magnitude);
  columns.entropy[i] = real(player.action_entropy);
  if (isObject(player.controller)) for (const name of PAD) columns[name][i] = real(player.controller[name]);
  if (Array.isArray(player.top3_actions)) {
    for (const rank of GUESSES) {
      columns[`likely_${rank}`][i] = real(player.top3_actions[rank]?.action);
      columns[`chance_${rank}`][i] = real(player.top3_actions[rank]?.prob);
    }
  }
}

function fillEvents(columns, i, events) {
  for (const name of ["ko", "velocity_clamped", "stock_protected"]) columns[name][i] = real(events?.[name]);
}

function fillGhost(columns, i, actual) {
  columns.ghost_x[i] = isPlace(actual?.x) ? actual.x : NaN;
  columns.ghost_y[i] = isPlace(actual?.y) ? actual.y : NaN;
  columns.ghost_facing[i] = real(actual?.facing_right ?? actual?.facing);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPlace(value) {
  return typeof value === "number" && Math.abs(value) <= FARTHEST;
}

/** A number or a yes and no as a number; NaN for anything else. */
function real(value) {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" ? Math.fround(value) : NaN;
}
