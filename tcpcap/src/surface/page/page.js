// What is known, how it is kept fresh, and which view is shown.

const REFRESH = 3000,
  RETRY = 2000,
  PATIENCE = 10_000;

/** How old an answer may be that the daemon gives, ms; and a little more. */
const OLD = 600;

const state = {
  status: null,
  blocks: [],
  sources: [],
  findings: [],
  timeline: { seconds: [], minutes: [] },
  /** When the last answer came; and why there is none since, if so. */
  heard: null,
  trouble: null,
  live: false,
  /** The clock of the host against this one, ms. */
  skew: 0,
};

const observing = () => state.status?.mode === "observe";

/** What went wrong with a call, in two lines, and the status of the answer; 0 where there was none. */
class Trouble extends Error {
  constructor(cause, remedy, status) {
    super(cause);
    Object.assign(this, { cause, remedy, status });
  }
}

async function ask(path) {
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, { signal: AbortSignal.timeout(PATIENCE) })
      // The connection may have been closed in the very moment in which it was used again.
      .catch(() => fetch(`/api/v1/${path}`, { signal: AbortSignal.timeout(PATIENCE) }));
  } catch {
    throw new Trouble("tcpcap does not answer", "see on the host whether it runs: tcpcap status", 0);
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok)
    throw new Trouble(body.cause ?? `tcpcap answers ${answer.status}`, body.remedy ?? "see its log", answer.status);
  return body;
}

/**
 * Gives blocks the moment of their end. Whole seconds come; so that none jumps, what was told before stays.
 */
function timed(blocks, before = []) {
  const known = new Map(before.map((block) => [block.network, block]));
  const now = Date.now();
  for (const block of blocks) {
    const ends = block.left_s === null ? Infinity : now + block.left_s * 1000;
    const old = known.get(block.network);
    block.ends = Math.abs(old?.ends - ends) < 2000 ? old.ends : ends;
  }
  return blocks;
}

/** Gives sources how many of their packets are dropped a second. */
function paced(sources, before) {
  const known = new Map(before.map((source) => [source.source, source]));
  const now = Date.now();
  for (const source of sources) {
    const old = known.get(source.source);
    const more = old ? Math.max(0, source.dropped_packets - old.dropped_packets) : 0;
    const rate = more / Math.max(1, (now - old?.read) / 1000) || 0;
    source.dropping = more === 0 ? 0 : ((old.dropping || rate) + rate) / 2;
    source.read = now;
  }
  return sources;
}

function showLink() {
  const { heard, trouble, live } = state;
  const since = heard ? clockOf.format(heard) : null;
  const line = $("link");
  line.className = `link ${trouble ? "bad" : live ? "good" : "warn"}`;
  say(
    line,
    trouble
      ? since
        ? `Not connected since ${since}: ${trouble}. This is how it was then. Trying again …`
        : `Not connected: ${trouble}. Trying again …`
      : live
        ? "Live"
        : heard
          ? "Connected, without live events"
          : "Connecting …",
  );
  document.body.classList.toggle("stale", trouble !== null);
}

function heard() {
  [state.heard, state.trouble] = [new Date(), null];
}

function showAll() {
  if (!state.status) return;
  showHealth(state.status);
  showTiles(state);
  showBlocks(state);
  showFindings(state);
  showSources(state);
  redraw();
}

function redraw() {
  drawCharts(state.timeline, observing(), Math.floor((Date.now() + state.skew) / 1000));
}

/** When all blocks are asked for again. Each of them costs the daemon something, so of many it is asked less often. */
let blocksDue = 0;

async function readBlocks() {
  if (Date.now() < blocksDue) return;
  const since = Date.now() - OLD;
  const blocks = await ask("blocks");
  const known = new Set(blocks.map(({ network }) => network));
  const late = state.blocks.filter(({ heard, network }) => heard > since && !known.has(network));
  state.blocks = [...late, ...timed(blocks, state.blocks)];
  blocksDue = Date.now() + blocks.length / 2;
}

/** Adds or takes away a block that was told of, until all are asked for again. */
function addBlock({ network: name, event, origin, why, scope, until, times, heard }) {
  if (origin === "feed") return;
  const network = name.includes("/") ? name : `${name}/${name.includes(":") ? 128 : 32}`;
  const index = state.blocks.findIndex((block) => block.network === network);
  if (event === "ended" || event === "lifted") {
    if (index >= 0) state.blocks.splice(index, 1);
    return;
  }
  const ends = until ? Date.parse(until) - state.skew : Infinity;
  const old = state.blocks[index] ?? { network, age_s: 0, packets: 0, bytes: 0 };
  const left_s = until ? Math.round((ends - heard) / 1000) : null;
  state.blocks.splice(Math.max(index, 0), index < 0 ? 0 : 1, {
    ...old,
    origin,
    why,
    scope,
    times,
    left_s,
    ends,
    heard,
  });
}

let reading = null,
  again = false,
  soon = false,
  everything = true,
  timer = 0;

/** Reads what changes all the time; and, if somebody wants so, what is told by events meanwhile. */
async function read() {
  if (everything) {
    everything = false;
    const since = Date.now() - OLD;
    const [timeline, findings] = await Promise.all([ask("timeline"), ask("findings")]);
    // What was told since may not be in it.
    const late = ({ heard }) => heard > since;
    const known = new Set(findings.map(findingKey));
    state.findings = [
      ...state.findings.filter((finding) => late(finding) && !known.has(findingKey(finding))),
      ...findings,
    ];
    const pulses = state.timeline.seconds.filter(late);
    state.timeline = timeline;
    pulses.forEach(addPulse);
  }
  const [status, sources] = await Promise.all([ask("status"), ask("sources"), readBlocks()]);
  Object.assign(state, { status, sources: paced(sources, state.sources) });
}

/** Reads now, or once what is being read has come; and then again and again. */
function refresh(all = false) {
  everything ||= all || !state.live;
  again = true;
  if (reading || document.hidden) return;
  clearTimeout(timer);
  again = soon = false;
  reading = read()
    .then(heard, (trouble) => {
      everything = true;
      state.trouble = trouble.cause ?? "the page failed, reload it";
    })
    .then(() => {
      reading = null;
      showLink();
      if (!state.trouble) showAll();
      timer = setTimeout(refresh, again ? OLD : state.trouble ? RETRY : REFRESH);
    });
  readStory();
}

/** Reads when what has just happened is in every answer. */
function refreshSoon() {
  again = true;
  // Not later because more happens.
  if (reading || soon) return;
  soon = true;
  clearTimeout(timer);
  timer = setTimeout(refresh, OLD);
}

let stream = null,
  retry = 0,
  told = 0;

function listen() {
  clearTimeout(retry);
  stream?.close();
  if (document.hidden) return;
  stream = new EventSource("/api/v1/events");
  const on = (name, then) =>
    stream.addEventListener(name, (event) => then({ ...JSON.parse(event.data), heard: Date.now() }));
  stream.addEventListener("open", () => {
    state.live = true;
    // What happened meanwhile nobody told.
    refresh(true);
  });
  stream.addEventListener("error", () => {
    stream.close();
    state.live = false;
    showLink();
    refresh();
    retry = setTimeout(listen, RETRY);
  });
  on("pulse", (pulse) => {
    state.skew = Date.parse(pulse.time) - Date.now();
    addPulse(pulse);
    if (state.status) {
      showTiles(state);
      redraw();
    }
  });
  on("finding", (event) => {
    state.findings = [event, ...state.findings].slice(0, 500);
    showFindings(state);
    announce(event);
    refreshSoon();
  });
  on("block", (event) => {
    addBlock(event);
    if (state.status) showBlocks(state);
    refreshSoon();
  });
  on("command", refreshSoon);
  on("missed", ({ events }) => {
    say($("news"), `${plural(events, "event was", "events were")} missed; everything is read anew.`);
    refresh(true);
  });
}

/** Adds a second that is over. */
function addPulse(pulse) {
  const { seconds, minutes } = state.timeline;
  if (pulse.at > (seconds[seconds.length - 1]?.at ?? 0)) seconds.push(pulse);
  if (seconds.length > 600) seconds.shift();
  const last = minutes[minutes.length - 1];
  if (!last || Math.floor(last.at / 60) !== Math.floor(pulse.at / 60)) {
    minutes.push({ ...pulse });
    if (minutes.length > 1440) minutes.shift();
  } else if (pulse.at >= last.at + last.span_s) {
    for (const key of [
      "span_s",
      "attempts",
      "probes",
      "dropped_packets",
      "dropped_bytes",
      "would_drop_packets",
      "findings",
      "blocks",
    ])
      last[key] += pulse[key];
    last.blocked = pulse.blocked;
  }
}

/** Tells who cannot see the page; not more often than one can listen. */
function announce(finding) {
  if (Date.now() - told < 5000) return;
  told = Date.now();
  say($("news"), `${title(finding.rule)} by ${finding.source ?? "many sources"}: ${decided(finding)}.`);
}

const asked = () => /^#\/address\/(.+)$/.exec(location.hash)?.[1];

function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let storyAsked = 0;

async function readStory() {
  const address = asked();
  if (address === undefined) return;
  const number = ++storyAsked;
  try {
    const story = await ask(`explain/${encodeURIComponent(plain(address))}`);
    timed(story.now.blocks);
    if (number === storyAsked) showStory(story);
  } catch (trouble) {
    if (number !== storyAsked || !trouble.status) return;
    const remedy =
      trouble.status === 400 ? "Look up an address such as 192.0.2.7 or 2001:db8::7." : `Remedy: ${trouble.remedy}.`;
    showNoStory(plain(address), trouble.cause, remedy);
  }
}

/** Shows the view that the address bar names. */
function route(first) {
  const address = asked();
  storyAsked += 1;
  hide($("overview"), address !== undefined);
  hide($("story"), address === undefined);
  document.title = address === undefined ? "tcpcap" : `${plain(address)} – tcpcap`;
  if (address === undefined) {
    if (state.status) showAll();
  } else {
    say($("story-title"), plain(address));
    hide($("story-parts"), true);
    hide($("story-problem"), true);
    readStory();
  }
  if (first !== true) {
    scrollTo(0, 0);
    $(address === undefined ? "overview-title" : "story-title").focus();
  }
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = $("address").value.trim();
  if (address) location.hash = `#/address/${encodeURIComponent(address).replaceAll("%3A", ":")}`;
});
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("content").focus();
});
$("filter").addEventListener("input", () => state.status && showBlocks(state));
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream?.close();
    clearTimeout(timer);
  } else {
    listen();
    refresh(true);
  }
});
setInterval(countDown, 1000);
listenToCharts(redraw);
say($("zone"), `Times of day are those of ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`);
$("boot").remove();
hide($("content"), false);
route(true);
listen();
refresh(true);
