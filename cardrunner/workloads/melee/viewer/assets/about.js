// Below the match: what happened, as a list to jump from, and what the file says about itself.

const MOST_LISTED = 1500;
const MOST_FIGURES = 40;

/** Buttons that lead to each event. */
function eventList(views, seek) {
  const events = views.flatMap(({ match }, number) => match.events.map((event) => ({ ...event, match, number })));
  events.sort((a, b) => a.frame - b.frame);
  if (events.length === 0) return [element("p", { class: "none" }, "No hits and no stocks lost.")];
  const items = events.slice(0, MOST_LISTED).map((event) => {
    const where = views.length > 1 ? element("span", { class: "where" }, event.match.label) : "";
    const time = element("span", { class: "time" }, clock(event.frame));
    const kind = element("span", { class: `kind ${event.kind}` }, EVENT_WORDS[event.kind]);
    const text = element("span", {}, event.text);
    const button = element("button", { type: "button", class: "event" }, time, kind, text, where);
    button.addEventListener("click", () => seek(event.frame));
    return element("li", {}, button);
  });
  const rest = events.length - items.length;
  const list = element("ol", { class: "events" }, ...items);
  if (rest === 0) return [list];
  return [list, element("p", { class: "none" }, `${plural(rest, "later event")} not listed; the timeline shows all.`)];
}

/** Meta and summary of each match as they stand in its file. */
function factList(views) {
  return views.flatMap(({ match }) => {
    const { meta } = match;
    const known = [
      ["Mode", meta.mode],
      ["World", meta.model_name],
      ["Architecture", meta.arch],
      ["Stage", meta.stage?.name],
      ["P0", meta.p0_agent],
      ["P1", meta.p1_agent],
      ["Context", meta.context_len === undefined ? undefined : `${meta.context_len} frames`],
      ["Seed", meta.seed_frames === undefined ? undefined : `${meta.seed_frames} frames`],
      ["Frames", thousands(match.length)],
    ];
    const stated = Object.entries(match.summary).slice(0, MOST_FIGURES);
    const figures = stated.map(([name, value]) => [plainWords(name), figure(value)]);
    const rows = [...known, ...figures].filter(([, value]) => value !== undefined && value !== null && value !== "");
    const list = element("dl", { class: "figures" });
    for (const [term, value] of rows) {
      list.append(element("dt", {}, label(term, 40)), element("dd", {}, label(value, 120)));
    }
    const note = match.note ? [element("p", { class: "note" }, match.note)] : [];
    return [element("h3", {}, match.label), ...note, list];
  });
}

function figure(value) {
  if (typeof value === "number") return Number.isInteger(value) ? thousands(value) : value.toFixed(3);
  return typeof value === "object" ? JSON.stringify(value) : value;
}
