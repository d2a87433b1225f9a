// What happened in a match, read off its columns.

/** A stock lost within this number of frames after a hit counts as a KO, else as a self-destruct. */
const CREDIT = 10 * FRAMES_PER_SECOND;
const EVENT_WORDS = {
  ko: "knocked out",
  fall: "lost a stock without being hit",
  hit: "hit",
  protected: "kept a stock",
  start: "agents take over",
};

/** @returns {{frame: number, kind: string, player: number, text: string}[]} in order of time */
function eventsOf(match) {
  const found = [0, 1].flatMap((player) => eventsOfPlayer(match, player));
  const start = handOver(match);
  if (start > 0) {
    const text = `from here on: ${match.sourceAt(start)}`;
    found.push({ frame: start, kind: "start", player: -1, text });
  }
  return found.sort((a, b) => a.frame - b.frame);
}

/** The first frame that is not of the seed; 0 where all are, or none. */
function handOver(match) {
  const seed = match.sources.indexOf("seed");
  if (seed < 0 || match.source[0] !== seed) return 0;
  const start = match.source.findIndex((source) => source !== seed);
  return Math.max(start, 0);
}

function eventsOfPlayer(match, player) {
  const { percent, stocks, stock_protected: kept } = match.players[player];
  const who = `P${player}`;
  const events = [];
  let hitAt = -Infinity;
  for (let i = 1; i < match.length; i += 1) {
    const more = percent[i] - percent[i - 1];
    if (stocks[i] < stocks[i - 1]) {
      const kind = i - hitAt <= CREDIT ? "ko" : "fall";
      const at = Number.isNaN(percent[i - 1]) ? "" : ` at ${Math.round(percent[i - 1])}%`;
      const left = plural(stocks[i], "stock");
      const text = kind === "ko" ? `${who} is knocked out${at}, ${left} left` : `${who} falls${at}, ${left} left`;
      events.push({ frame: i, kind, player, text });
      hitAt = -Infinity;
    } else if (more >= 0.5) {
      const now = `${Math.round(percent[i])}%`;
      events.push({ frame: i, kind: "hit", player, text: `${who} is hit for ${Math.round(more)}%, now ${now}` });
      hitAt = i;
    }
    if (kept[i] === 1 && kept[i - 1] !== 1) {
      events.push({ frame: i, kind: "protected", player, text: `a stock loss of ${who} that could not be was undone` });
    }
  }
  return events;
}
