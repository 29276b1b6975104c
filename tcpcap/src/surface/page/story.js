// The story of an address, in the order in which a person would tell it.

const p = (text) => h("p", {}, text);

function nowTold(story) {
  const { state, protected: why, blocks } = story.now;
  const told = [];
  if (state === "protected") told.push(p(`It is never blocked: ${why}.`));
  else if (state === "observed") told.push(p("It would be blocked, but tcpcap only observes: nothing is dropped."));
  else if (state === "blocked") told.push(p("It is blocked."));
  else told.push(p("It is free: nothing of it is dropped."));
  for (const block of blocks) {
    const what = block.scope === "syn" ? "New connections of" : "All packets of";
    const counted = state === "blocked" ? "dropped" : "counted";
    const verb = state === "blocked" ? "are dropped" : "would be dropped";
    const text = h(
      "p",
      {},
      `${what} ${named(block.network)} ${verb}. Reason: ${reason(block)}. It began ${ago(block.age_s)}; time left: `,
      h(
        "strong",
        { "data-ends": block.ends },
        leftText(block.ends === Infinity ? Infinity : (block.ends - Date.now()) / 1000),
      ),
      `. ${plural(block.packets, "packet", "packets")} (${bytes(block.bytes)}) ${counted} so far.`,
    );
    told.push(text);
  }
  return told;
}

function seenTold({ seen, source }) {
  if (!seen) return [p("Neither kernel nor detector remembers anything of it.")];
  const told = [];
  const first = seen.first_seen_s === null ? "" : `First seen ${ago(seen.first_seen_s)}, last seen `;
  told.push(
    p(
      `${first || "Last seen "}${ago(seen.last_seen_s)}. ${plural(seen.attempts, "attempt", "attempts")}, now ${rate(seen.per_second)}; ` +
        `${plural(seen.completions, "handshake", "handshakes")} completed, ${count(seen.refusals)} refused.`,
    ),
  );
  if (seen.some_ports.length) {
    const ports = some(seen.some_ports, 16, seen.ports > seen.some_ports.length);
    const hosts =
      seen.hosts === 1 ? `${seen.some_hosts[0] ?? "one address"}` : `${plural(seen.hosts, "address", "addresses")}`;
    // A finding is enough: from then on no more is counted.
    const tried = seen.rule ? "Until the latest finding it tried" : "Tried";
    told.push(p(`${tried} ${plural(seen.ports, "port", "ports")} on ${hosts}: ${ports}.`));
  }
  const odd = [
    [seen.probes, "probe that no honest stack sends", "probes that no honest stack sends"],
    [seen.strays, "segment of no known connection", "segments of no known connection"],
    [seen.retransmissions, "retransmission", "retransmissions"],
  ]
    .filter(([n]) => n > 0)
    .map(([n, one, many]) => plural(n, one, many));
  if (odd.length) told.push(p(`Beside these: ${odd.join(", ")}.`));
  if (seen.fingerprint) told.push(p(`Its attempts bear the marks of ${seen.fingerprint}.`));
  if (STANDINGS[seen.standing]) told.push(p(STANDINGS[seen.standing]));
  if (seen.events_withheld > 0)
    told.push(
      p(`${plural(seen.events_withheld, "event was", "events were")} not told one by one; the counts hold them.`),
    );
  if (source.includes(":") && named(source) !== source) told.push(p(`All of ${source} is counted as one source.`));
  return told;
}

function nextTold({ next, now }) {
  if (now.state === "protected") return [p("Nothing: whatever rules find, it is not blocked.")];
  const told = [];
  const { times, ends_s: ends, repeat_s: repeat, forgotten_s: forgotten } = next;
  if (ends !== null) {
    const over = now.state === "observed" ? "The block would be over" : "Its packets pass again";
    told.push(p(`${over} in ${duration(ends)}, unless it goes on scanning.`));
  }
  for (const block of now.blocks) {
    if (block.origin === "feed") told.push(p(`It is blocked for as long as the feed ${block.why} names it.`));
    else if (block.left_s === null) told.push(p("It is blocked until an operator takes that back."));
    else if (block.origin === "operator") told.push(p(`The operator's block ends in ${duration(block.left_s)}.`));
  }
  told.push(p(`Should a rule fire for it${times > 0 ? " again" : ""}, that block would last ${duration(repeat)}.`));
  if (times > 0) {
    const quiet = forgotten === null ? "" : ` That is forgotten in ${duration(forgotten)}, if it stays quiet.`;
    told.push(p(`Rules have blocked it ${times === 1 ? "once" : `${times} times in a row`}.${quiet}`));
  }
  return told;
}

function pastItem(entry, about) {
  if (entry.type === "finding") return findingItem(entry.time, entry, about);
  const head = (words) => h("p", { class: "head" }, h("strong", {}, words), " ", momentOf(entry.time));
  if (entry.type === "block") {
    const event =
      { begun: "Block began", extended: "Block extended", ended: "Block over", lifted: "Block lifted" }[entry.event] ??
      entry.event;
    const until = entry.until && ["begun", "extended"].includes(entry.event) ? `, until ${moment(entry.until)}` : "";
    const dropped =
      entry.packets === undefined
        ? ""
        : ` It dropped ${plural(entry.packets, "packet", "packets")} (${bytes(entry.bytes ?? 0)}).`;
    const by = entry.by ? ` By ${entry.by}.` : "";
    return h("li", {}, head(event), p(`${named(entry.network)}: ${reason(entry)}${until}.${dropped}${by}`));
  }
  return h("li", {}, head(`Command: ${entry.verb} ${entry.argument}`), p(`${entry.result}. Given by ${entry.who}.`));
}

/** What one could type, the most likely first. */
function actions(story) {
  const { address, now, source } = story;
  const whole = named(source);
  const list = [];
  const lift = now.blocks.filter(({ origin }) => origin !== "feed");
  if (now.state !== "protected") {
    for (const { network } of lift) list.push([`tcpcap unblock ${named(network)}`, "Let it through again"]);
    list.push([`tcpcap allow ${whole}`, "Never block it"]);
    if (now.blocks.length === 0) list.push([`tcpcap block ${whole} --for 1h`, "Block it for an hour"]);
  }
  const allowed = /^(\S+) is allowed$/.exec(now.protected ?? "");
  if (allowed) list.push([`tcpcap disallow ${named(allowed[1])}`, "Allow it no longer"]);
  list.push([`tcpcap explain ${address}`, "Read this in a terminal"]);
  return list;
}

function showStory(story) {
  hide($("story-problem"), true);
  hide($("story-parts"), false);
  say($("story-title"), story.address);
  say($("story-source"), named(story.source) === story.address ? "" : `Counted and blocked as ${story.source}`);
  $("story-now").replaceChildren(...nowTold(story));
  $("story-seen").replaceChildren(...seenTold(story));
  $("story-next").replaceChildren(...nextTold(story));
  keep(
    $("story-past"),
    story.past,
    ({ id }) => String(id),
    (entry) => pastItem(entry, named(story.source)),
    () => {},
  );
  const missing = story.past_missing ? `The past is not whole: ${story.past_missing}.` : "";
  say(
    $("story-past-note"),
    missing || (story.past.length ? "The newest first." : "Nothing was ever found, decided or done about it."),
  );
  keep(
    $("story-act"),
    actions(story),
    ([text]) => text,
    ([text, what]) => command(text, what),
    () => {},
  );
}

function showNoStory(address, cause, remedy) {
  say($("story-title"), address);
  say($("story-source"), "");
  hide($("story-parts"), true);
  hide($("story-problem"), false);
  $("story-problem").replaceChildren(p(`${cause}.`), p(remedy));
}
