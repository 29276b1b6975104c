// Attempts and drops over time, drawn by hand.

const LEFT = 46,
  RIGHT = 10,
  TOP = 10,
  BOTTOM = 22,
  HEIGHT = 168;

const SPANS = {
  seconds: { length: 600, least: 120, per: "per second", row: 60, ticks: [15, 30, 60, 120, 300] },
  minutes: {
    length: 86_400,
    least: 7200,
    per: "per minute",
    row: 3600,
    ticks: [900, 1800, 3600, 7200, 10_800, 14_400, 28_800],
  },
};

/** What is drawn: samples of one span, from when to when, and where somebody looks. */
const chart = { span: "seconds", samples: [], from: 0, to: 0, cursor: null, drops: "dropped_packets" };

/** How many a second, or a minute. A poll that came late tells of more than a second. */
function height(sample, key) {
  return chart.span === "seconds" ? sample[key] / Math.max(1, sample.span_s) : sample[key];
}

/** The least of 1, 2, 5, 10, 20 … that is no less. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return Math.max(
    4,
    [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value),
  );
}

function plot(svg, key, kind) {
  const width = svg.parentElement.clientWidth;
  if (width === 0 || chart.to === chart.from) return;
  const { samples, from, to } = chart;
  const top = ceiling(Math.max(0, ...samples.map((sample) => height(sample, key))));
  const x = (at) => LEFT + ((at - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const floor = y(0);
  const parts = [];
  for (const value of [0, top / 2, top]) {
    parts.push(draw("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    parts.push(draw("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, short.format(value)));
  }
  const ticks = SPANS[chart.span].ticks;
  const every = ticks.find((tick) => (tick / (to - from)) * width >= 70) ?? ticks[ticks.length - 1];
  // Full hours of the viewer, whatever the zone.
  const shift = new Date(to * 1000).getTimezoneOffset() * 60;
  for (let at = Math.ceil((from - shift) / every) * every + shift; at <= to; at += every) {
    const label = (every < 60 ? clockOf : minuteOf).format(new Date(at * 1000));
    parts.push(draw("line", { class: "grid", x1: x(at), x2: x(at), y1: floor, y2: floor + 4 }));
    if (x(at) > LEFT + 12 && x(at) < width - 18) {
      parts.push(draw("text", { x: x(at), y: HEIGHT - 4, "text-anchor": "middle" }, label));
    }
  }
  for (const run of runs(samples)) {
    let line = "";
    for (const sample of run) {
      const level = y(height(sample, key)).toFixed(1);
      line += `${line ? "L" : "M"}${x(sample.at).toFixed(1)} ${level}H${x(sample.at + sample.span_s).toFixed(1)}`;
    }
    const [first, last] = [run[0], run[run.length - 1]];
    const area = `${line}V${floor}H${x(first.at).toFixed(1)}Z`;
    parts.push(draw("path", { class: `area ${kind}`, d: area }), draw("path", { class: `curve ${kind}`, d: line }));
    if (key === "attempts") {
      for (const sample of run.filter((sample) => sample.findings > 0)) {
        const at = x(sample.at + sample.span_s / 2);
        parts.push(draw("path", { class: "mark", d: `M${at} ${floor - 7}l4.5 7h-9z` }));
      }
    }
    if (last.at < from) break;
  }
  if (samples.length && samples[0].at > from + 2 && x(samples[0].at) - LEFT > 110) {
    const middle = (LEFT + x(samples[0].at)) / 2;
    parts.push(draw("text", { class: "none", x: middle, y: floor - 10, "text-anchor": "middle" }, "before the start"));
  }
  const looked = samples[chart.cursor];
  if (looked) {
    const at = x(looked.at + looked.span_s / 2);
    parts.push(draw("line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: floor }));
    parts.push(draw("circle", { class: `dot ${kind}`, cx: at, cy: y(height(looked, key)), r: 4 }));
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("height", HEIGHT);
  svg.replaceChildren(...parts);
}

/** Samples in a row, without the gaps when nobody was there. */
function runs(samples) {
  const all = [];
  for (const sample of samples) {
    const run = all[all.length - 1];
    const before = run?.[run.length - 1];
    if (before && sample.at <= before.at + before.span_s + (chart.span === "seconds" ? 2 : 60)) run.push(sample);
    else all.push([sample]);
  }
  return all;
}

function total(samples) {
  const sum = {
    attempts: 0,
    probes: 0,
    dropped_packets: 0,
    dropped_bytes: 0,
    would_drop_packets: 0,
    findings: 0,
    blocks: 0,
  };
  for (const sample of samples) for (const key of Object.keys(sum)) sum[key] += sample[key];
  return sum;
}

const dropWord = () => (chart.drops === "dropped_packets" ? "dropped" : "would be dropped");

function tell(sum) {
  return (
    `${plural(sum.attempts, "attempt", "attempts")}, ${plural(sum[chart.drops], "packet", "packets")} ${dropWord()}, ` +
    plural(sum.findings, "finding", "findings")
  );
}

/** How much time samples are about, seconds; more than a few minutes as full ones. */
function covered(samples) {
  const s =
    samples.length === 0 ? 0 : samples[samples.length - 1].at + samples[samples.length - 1].span_s - samples[0].at;
  return s < 180 ? s : s < 3600 ? Math.round(s / 60) * 60 : Math.round(s / 3600) * 3600;
}

/** The moment that somebody looks at, or all of it. */
function readout() {
  const sample = chart.samples[chart.cursor];
  const all = `In ${duration(covered(chart.samples))}: ${tell(total(chart.samples))}`;
  if (!sample) return all;
  const at = new Date(sample.at * 1000);
  return `${chart.span === "seconds" ? clockOf.format(at) : minuteOf.format(at)}: ${tell(sample)}`;
}

/** Draws it anew, up to a moment. */
function drawCharts(timeline, observe, now) {
  const looked = chart.samples[chart.cursor]?.at;
  const { length, least, per } = SPANS[chart.span];
  chart.drops = observe ? "would_drop_packets" : "dropped_packets";
  chart.to = now;
  // Of a daemon that has just started there is less to be seen.
  chart.from = Math.max(now - length, Math.min(timeline[chart.span][0]?.at ?? now, now - least));
  chart.samples = timeline[chart.span].filter((sample) => sample.at >= chart.from && sample.at <= now);
  const found = looked === undefined ? -1 : chart.samples.findIndex((sample) => sample.at >= looked);
  chart.cursor = found < 0 ? null : found;
  say($("attempts-name"), `Attempts ${per}`);
  say($("drops-name"), `Packets ${dropWord()} ${per}`);
  plotBoth();
  if ($("figures").open) drawFigures();
}

function plotBoth() {
  plot($("chart-attempts"), "attempts", "attempt");
  plot($("chart-drops"), chart.drops, "drop");
  const text = readout();
  say($("readout"), text);
  const slider = $("charts");
  slider.setAttribute("aria-valuemax", Math.max(0, chart.samples.length - 1));
  slider.setAttribute("aria-valuenow", chart.cursor ?? Math.max(0, chart.samples.length - 1));
  if (document.activeElement !== slider || chart.cursor !== null) slider.setAttribute("aria-valuetext", text);
}

function drawFigures() {
  const { row } = SPANS[chart.span];
  const groups = new Map();
  for (const sample of chart.samples) {
    const at = Math.floor(sample.at / row) * row;
    groups.set(at, [...(groups.get(at) ?? []), sample]);
  }
  say($("figures-drops"), observing() ? "Would drop" : "Dropped");
  const rows = [...groups].reverse().map(([at, samples]) => ({ at, sum: total(samples) }));
  keep(
    $("figures-rows"),
    rows,
    ({ at }) => String(at),
    ({ at }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, minuteOf.format(new Date(at * 1000))),
        ...Array.from({ length: 5 }, () => h("td", { class: "n" })),
      ),
    (element, { sum }) =>
      [sum.attempts, sum.probes, sum[chart.drops], sum.findings, sum.blocks].forEach((value, n) =>
        say(element.children[n + 1], count(value)),
      ),
  );
}

function look(index) {
  chart.cursor = index === null ? null : Math.min(Math.max(index, 0), chart.samples.length - 1);
  plotBoth();
}

function listenToCharts(redraw) {
  const slider = $("charts");
  slider.addEventListener("keydown", (event) => {
    const last = chart.samples.length - 1;
    if (last < 0) return;
    const at = chart.cursor ?? last;
    const page = Math.ceil(chart.samples.length / 10);
    const to = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      Home: 0,
      End: last,
      PageDown: at - page,
      PageUp: at + page,
      Escape: null,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    look(to);
  });
  slider.addEventListener("blur", () => look(null));
  for (const svg of slider.querySelectorAll("svg")) {
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      const at = chart.from + share * (chart.to - chart.from);
      const index = chart.samples.findIndex((sample) => sample.at + sample.span_s > at);
      look(chart.samples.length === 0 ? null : index < 0 ? chart.samples.length - 1 : index);
    });
    svg.addEventListener("pointerleave", () => look(null));
  }
  for (const input of document.querySelectorAll("input[name=span]")) {
    input.addEventListener("change", () => {
      [chart.span, chart.cursor] = [input.value, null];
      redraw();
    });
  }
  $("figures").addEventListener("toggle", drawFigures);
  new ResizeObserver(plotBoth).observe(slider);
}
