// The overview: health, figures, blocks, findings, sources.

const MOST_BLOCKS = 200,
  MOST_SOURCES = 20,
  MOST_FINDINGS = 50;

/** What is wrong, in sentences. */
function problems(status) {
  const wrong = [];
  if (status.breaker_open)
    wrong.push(
      "The circuit breaker is open: too many sources were blocked within a minute, so nobody new is blocked for now.",
    );
  for (const { name, mode } of status.interfaces)
    if (mode === "away") wrong.push(`The interface ${name} is gone; it is watched again once it is back.`);
  for (const part of ["pins", "history", "mirror"]) {
    const { state, why } = status[part];
    if (state === "degraded" || why)
      wrong.push(`${PARTS[part]} ${state === "off" ? "is off" : `is ${state}`}${why ? `: ${why}` : ""}.`);
  }
  for (const { name, problem } of status.feeds)
    if (problem)
      wrong.push(
        problem.includes(name) ? `${problem[0].toUpperCase()}${problem.slice(1)}.` : `Feed ${name}: ${problem}.`,
      );
  if (status.blocks.owed > 0)
    wrong.push(`${plural(status.blocks.owed, "block is", "blocks are")} not in force yet, and tried again.`);
  return wrong;
}

const PARTS = {
  pins: "What keeps blocks in force without the daemon",
  history: "The history",
  mirror: "The nftables mirror",
};

const modeOf = ({ name, mode, egress }) =>
  `${name} ${mode}${egress === "unseen" ? ", answers unseen" : `, answers seen by ${egress}`}`;

function feedOf({ name, entries, bad_lines: bad, problem }) {
  const lines = bad ? `, ${plural(bad, "bad line", "bad lines")}` : "";
  return `${name}: ${plural(entries, "entry", "entries")}${lines}${problem ? ", with a problem" : ""}`;
}

const partOf = ({ state, why }) => (why ? `${state}: ${why}` : state);

function showHealth(status) {
  const wrong = problems(status);
  const watched = status.interfaces.map(({ name, mode }) => `${name} (${mode})`).join(", ") || "nothing";
  const doing = status.mode === "observe" ? "Observing: nothing is dropped" : "Enforcing: blocked sources are dropped";
  $("health").className = wrong.length ? "health bad" : status.mode === "observe" ? "health warn" : "health good";
  const line = wrong.length ? plural(wrong.length, "thing is wrong", "things are wrong") : "All is well";
  keep(
    $("health-line"),
    [
      ["is", line],
      ["mode", doing],
      ["watched", `Watching ${watched}`],
      ["up", `Up for ${duration(status.uptime_s)}`],
    ],
    ([key]) => key,
    ([key]) => h("span", { class: key }),
    (element, [, text]) => say(element, text),
  );
  keep(
    $("health-problems"),
    wrong,
    (text) => text,
    (text) => h("li", {}, text),
    () => {},
  );
  hide($("health-problems"), wrong.length === 0);
  const { automatic, operator, feed } = status.blocks;
  const details = [
    ["tcpcap", `${status.version}, process ${status.pid}, up ${duration(status.uptime_s)}`],
    ["Mode", `${status.mode}, scope ${status.scope}, preset ${status.preset}`],
    ["Interfaces", status.interfaces.map(modeOf).join("; ") || "none"],
    ["Blocks", `${count(automatic)} automatic, ${count(operator)} by operators, ${count(feed)} by lists`],
    ["Breaker", status.breaker_open ? "open: nobody new is blocked for now" : "closed"],
    ["Pins", partOf(status.pins)],
    ["History", partOf(status.history)],
    ["Mirror", partOf(status.mirror)],
    ["Feeds", status.feeds.map(feedOf).join("; ") || "none"],
    ["Allowed", status.allowed.map(named).sort().join(", ") || "none"],
    [
      "Never blocked",
      status.never_block
        .map(({ why }) => why)
        .sort()
        .join("; ") || "none",
    ],
    ["Repaired", plural(status.drift_repaired, "difference in kernel and nft", "differences in kernel and nft")],
  ];
  keep(
    $("health-details"),
    details,
    ([name]) => name,
    ([name]) => h("div", {}, h("dt", {}, name), h("dd")),
    (element, [, text]) => say(element.lastElementChild, text),
  );
}

function showTiles({ status, sources, timeline }) {
  const last = timeline.seconds.slice(-5);
  const span = Math.max(
    1,
    last.reduce((sum, sample) => sum + sample.span_s, 0),
  );
  const [recent, all] = [total(last), total(timeline.seconds)];
  const drops = observing() ? "would_drop_packets" : "dropped_packets";
  say($("tile-attempts"), rate(recent.attempts / span));
  const time = duration(covered(timeline.seconds));
  say($("tile-attempts-more"), `${count(all.attempts)} in ${time}`);
  say($("tile-drops-name"), observing() ? "Would be dropped" : "Dropped");
  say($("tile-drops"), rate(recent[drops] / span));
  say($("tile-drops-more"), `${count(all[drops])} in ${time}${observing() ? "" : `, ${bytes(all.dropped_bytes)}`}`);
  const { automatic, operator, feed } = status.blocks;
  say($("tile-blocks"), count(automatic + operator));
  say($("tile-blocks-more"), feed ? `and ${plural(feed, "entry", "entries")} of lists` : "sources and networks");
  const free = sources.filter(({ state }) => state === "free").length;
  say($("tile-sources"), sources.length >= 1000 ? "1,000+" : count(sources.length));
  say($("tile-sources-more"), sources.length ? `${count(free)} of them free` : "in the last 10 min");
}

/** A row of a table whose cells stay, with the roles that a changed display takes away. */
const row = (...cells) =>
  h("tr", { role: "row" }, ...cells.map((attributes) => h("td", { role: "cell", ...attributes })));

const leftText = (left) => (left === Infinity ? "for ever" : left <= 0 ? "ending" : duration(left));

function showBlocks({ blocks, status }) {
  const wanted = $("filter").value.trim().toLowerCase();
  const fits = ({ network, origin, why }) =>
    `${named(network)} ${origin} ${reason({ origin, why })} ${why}`.toLowerCase().includes(wanted);
  const found = wanted ? blocks.filter(fits) : blocks;
  const shown = [...found].sort((a, b) => a.age_s - b.age_s || (a.network < b.network ? -1 : 1)).slice(0, MOST_BLOCKS);
  keep(
    $("blocks-rows"),
    shown,
    ({ network }) => network,
    ({ network }) => {
      const made = row({ class: "who" }, { class: "why" }, { class: "n left" }, { class: "n drops" });
      made.children[0].append(toStory(network));
      made.children[3].append(h("span"), h("small"));
      return made;
    },
    (element, block) => {
      const [, why, left, drops] = element.children;
      const again = block.times > 1 ? `, block ${block.times} in a row` : "";
      say(why, `${reason(block)}${block.scope === "syn" ? ", new connections only" : ""}${again}`);
      left.dataset.ends = block.ends;
      say(left, leftText(block.ends === Infinity ? Infinity : (block.ends - Date.now()) / 1000));
      say(drops.firstChild, plural(block.packets, "packet", "packets"));
      say(drops.lastChild, bytes(block.bytes));
    },
  );
  say($("blocks-drops"), observing() ? "Would drop" : "Dropped");
  const lists = status.blocks.feed;
  const more = found.length - shown.length;
  const note = [];
  if (blocks.length === 0) note.push(lists ? "Nobody is blocked by rules or operators." : "Nobody is blocked.");
  else if (found.length === 0) note.push("No block fits the filter.");
  else if (wanted) note.push(`${count(found.length)} of ${plural(blocks.length, "block", "blocks")} fit.`);
  if (observing() && blocks.length) note.push("Observing: these would be blocked, and nothing is dropped.");
  if (lists) note.push(`Lists hold ${plural(lists, "entry", "entries")} beside.`);
  hide($("blocks-table"), shown.length === 0);
  say($("blocks-note"), note.join(" "));
  say($("blocks-more"), more > 0 ? `And ${count(more)} more: the filter narrows it down.` : "");
}

function countDown() {
  for (const cell of document.querySelectorAll("[data-ends]")) {
    const ends = Number(cell.dataset.ends);
    say(cell, leftText(ends === Infinity ? Infinity : (ends - Date.now()) / 1000));
  }
}

function findingItem(time, finding, about) {
  const who = finding.source ?? finding.in_name_of;
  const whose = who === about ? "" : who ? toStory(who) : h("span", {}, "by many sources");
  const head = h("p", { class: "head" }, h("strong", {}, title(finding.rule)), " ", whose, " ", momentOf(time));
  return h(
    "li",
    {},
    head,
    h("p", {}, evidence(finding)),
    h("p", { class: `decision ${finding.decision}` }, decided(finding), "."),
  );
}

const findingKey = (event) =>
  [event.time, event.source, event.rule, event.window, event.in_name_of, event.targets?.[0]].join(" ");

function showFindings({ findings }) {
  const shown = findings.slice(0, MOST_FINDINGS);
  keep(
    $("findings-rows"),
    shown,
    findingKey,
    (event) => findingItem(event.time, event),
    () => {},
  );
  say($("findings-note"), shown.length ? "" : "Nothing has been found since the start.");
}

const STATES = { free: "free", blocked: "blocked", observed: "would be blocked", protected: "never blocked" };

function showSources({ sources }) {
  const speed = ({ per_second: attempts, dropping }) => attempts + dropping;
  const shown = [...sources].sort((a, b) => speed(b) - speed(a) || b.attempts - a.attempts).slice(0, MOST_SOURCES);
  keep(
    $("sources-rows"),
    shown,
    ({ source }) => source,
    ({ source }) => {
      const made = row(
        { class: "who" },
        { class: "state" },
        { class: "n now" },
        { class: "n attempts" },
        { class: "n completed" },
        { class: "n ports" },
        { class: "marks" },
        { class: "n seen" },
      );
      made.children[0].append(toStory(source));
      made.children[1].append(h("span"));
      return made;
    },
    (element, source) => {
      const [, state, now, attempts, completed, ports, marks, seen] = element.children;
      state.firstChild.className = `chip ${source.state}`;
      say(state.firstChild, STATES[source.state] ?? source.state);
      say(now, source.dropping >= 0.1 ? `${rate(source.dropping)} ${dropWord()}` : rate(source.per_second));
      say(attempts, count(source.attempts));
      say(completed, count(source.completions));
      say(ports, count(source.ports));
      const why = source.why ?? source.rule;
      say(marks, [why && title(why), source.fingerprint].filter(Boolean).join(", ") || "–");
      say(seen, ago(source.last_seen_s));
    },
  );
  hide($("sources-table"), shown.length === 0);
  const more = sources.length - shown.length;
  say(
    $("sources-note"),
    sources.length === 0
      ? "Nobody has knocked within 10 minutes."
      : more > 0
        ? `The ${shown.length} fastest of ${count(sources.length)} that were seen within 10 minutes.`
        : "",
  );
}
