// What people do besides pressing the page's own buttons: keys, and files that they choose or drop.

/** @param {App} app does what the keys ask for */
function listenForKeys(app) {
  const keys = keysOf(app);
  addEventListener("keydown", (event) => {
    const { target } = event;
    const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    if (typing || byId("help").open || event.ctrlKey || event.metaKey || event.altKey) return;
    const pressing = target instanceof HTMLButtonElement || target.tagName === "SUMMARY";
    if (pressing && event.key === " ") return;
    const shifted = event.shiftKey && event.key.startsWith("Arrow");
    const action = keys[shifted ? `shift+${event.key}` : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function keysOf(app) {
  const { playback } = app;
  const second = FRAMES_PER_SECOND;
  const keys = {
    " ": () => playback.toggle(),
    k: () => playback.toggle(),
    ArrowLeft: () => playback.step(-1),
    ArrowRight: () => playback.step(1),
    "shift+ArrowLeft": () => playback.seek(playback.frame - second),
    "shift+ArrowRight": () => playback.seek(playback.frame + second),
    j: () => playback.seek(playback.frame - second),
    l: () => playback.seek(playback.frame + second),
    PageUp: () => playback.seek(playback.frame - 10 * second),
    PageDown: () => playback.seek(playback.frame + 10 * second),
    Home: () => playback.seek(0),
    End: () => playback.seek(playback.length - 1),
    "[": () => app.toEvent(-1),
    "]": () => app.toEvent(1),
    "+": () => playback.faster(1),
    "-": () => playback.faster(-1),
    c: () => app.closeUp(),
    "?": () => byId("help").showModal(),
  };
  for (let tenth = 0; tenth <= 9; tenth += 1) {
    keys[tenth] = () => playback.seek(((playback.length - 1) * tenth) / 10);
  }
  return keys;
}

/** @param {(files: File[]) => void} take */
function listenForFiles(take) {
  for (const id of ["open", "open-first"]) byId(id).addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => {
    const files = [...byId("file").files];
    byId("file").value = "";
    take(files);
  });
  let inside = 0;
  const mark = (change) => {
    inside = Math.max(0, inside + change);
    document.body.classList.toggle("dropping", inside > 0);
  };
  addEventListener("dragenter", () => mark(1));
  addEventListener("dragleave", () => mark(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-Infinity);
    take([...(event.dataTransfer?.files ?? [])]);
  });
}
