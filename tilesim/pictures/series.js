
// --- several pictures: frames with slider and thumbnails, projections, and what varies between frames

const frames = data.pictures.filter(one => one.kind === "frame"), others = data.pictures.filter(one => one.kind !== "frame");
let current = 0, timer = null;

turn = picture => {
  show(picture);
  const place = frames.indexOf(picture);
  if (place >= 0) current = place;
  $("pictures").value = place >= 0 ? "frame" : picture.kind;
  $("slider").value = current;
  $("slider").setAttribute("aria-valuetext", frames[current].label);
  $("frame").textContent = place < 0 ? picture.label
    : `${picture.label} (${current + 1} of ${frames.length})${picture.state ? ` · ${picture.state}` : ""}`;
  probe.frame = frames[current].number;
  markThumbnail();
  markValues();
  if (place >= 0 && frames[place + 1]) ahead(frames[place + 1]);
  remember();
};
const go = place => turn(frames[Math.min(frames.length - 1, Math.max(0, place))]);
// What comes next is unpacked before it is asked for.
const ahead = picture => setTimeout(() => inView(load(picture).levels[0]));

function play() {
  clearInterval(timer);
  timer = timer ? null : setInterval(() => go((current + 1) % frames.length), 1000 / Number($("speed").value));
  $("play").textContent = timer ? "pause" : "play";
}
const jump = place => () => { if (timer) play(); go(place()); };
Object.assign(KEYS, {
  ArrowLeft: jump(() => current - 1), ArrowRight: jump(() => current + 1),
  PageUp: jump(() => current - 10), PageDown: jump(() => current + 10),
  Home: jump(() => 0), End: jump(() => frames.length - 1),
  " ": play, p: () => toggle("panel"),
});
$("help").textContent = "← → frames · space plays · drag moves · wheel zooms · 0 fits";
canvas.setAttribute("aria-label", "Diffraction image: left and right arrow show another frame, with shift they move, plus and minus zoom, 0 shows all");
$("frames").hidden = $("has-pictures").hidden = $("has-panel").hidden = false;
$("panel").onchange = () => { $("parameters").hidden = !$("panel").checked; };
$("panel").onchange();
$("slider").max = frames.length - 1;
$("slider").oninput = () => { if (timer) play(); go(Number($("slider").value)); };
$("previous").onclick = KEYS.ArrowLeft; $("next").onclick = KEYS.ArrowRight; $("play").onclick = play;
$("speed").onchange = () => { if (timer) { play(); play(); } };
$("pictures").append(...[["frame", "frames"], ...others.map(one => [one.kind, one.kind])].map(([value, text]) => new Option(text, value)));
$("pictures").onchange = () => {
  if (timer) play();
  turn(others.find(one => one.kind === $("pictures").value) || frames[current]);
};

// Thumbnails are drawn when they come into view, from the coarsest level of each frame.
const thumbnails = frames.map((picture, place) => {
  const button = document.createElement("button"), small = document.createElement("canvas"), text = document.createElement("span");
  text.textContent = picture.state ? `${picture.number}: ${picture.state}` : picture.number;
  button.title = picture.label + (picture.state ? `: ${picture.state}` : "");
  button.setAttribute("aria-label", button.title);
  button.append(small, text);
  button.onclick = jump(() => place);
  return button;
});
$("strip").append(...thumbnails);
const seen = new Set(), seer = new IntersectionObserver(entries => {
  for (const entry of entries) {
    const place = thumbnails.indexOf(entry.target);
    if (entry.isIntersecting) { seen.add(place); paint(place); } else seen.delete(place);
  }
}, { root: $("strip"), rootMargin: "0px 300px" });
thumbnails.forEach(button => seer.observe(button));
function paint(place) {
  const { code, levels } = load(frames[place]), entry = tile(levels.at(-1), 0, 0), small = thumbnails[place].firstChild;
  Promise.resolve(entry.ready).then(() => {
    if (!entry.codes) return;
    [small.width, small.height] = [entry.canvas.width, entry.canvas.height];
    small.getContext("2d").drawImage(shaded(entry, shader(code, thumbnailGrey())), 0, 0);
    probe.thumbnails = thumbnails.filter(one => one.firstChild.width !== 300).length;
  });
}
// Maxima of many pixels have a scale of their own, which follows that of the frames.
const frameGrey = { ...data.greys.frame }, ownGrey = { ...data.greys.thumbnail };
thumbnailGrey = () => data.greys.thumbnail;
function followFrames() {
  const now = data.greys.frame;
  Object.assign(data.greys.thumbnail, {
    scale: now.scale, low: ownGrey.low + now.low - frameGrey.low, high: ownGrey.high * (now.high / frameGrey.high || 1),
  });
}
rescaled = () => { if (grey === data.greys.frame) { followFrames(); seen.forEach(paint); } };
function markThumbnail() {
  const strip = $("strip"), button = thumbnails[current];
  strip.querySelector("[aria-current]")?.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
  const left = button.offsetLeft, right = left + button.offsetWidth;
  if (left < strip.scrollLeft || right > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = left - strip.clientWidth / 2;
}

// Values: a plot of each quantity against the frame with its histogram, and a table of all.
const isNumber = v => typeof v === "number", isNone = v => v === null || v === "";
function digits(low, high) {
  const most = Math.max(Math.abs(low), Math.abs(high));
  return most && high > low ? Math.min(12, Math.max(2, Math.ceil(Math.log10(most / (high - low))) + 2)) : 4;
}
function written(v, places) {
  if (!isNumber(v)) return isNone(v) ? "–" : v;
  if (v && (Math.abs(v) >= 1e6 || Math.abs(v) < 1e-3)) return String(Number(v.toPrecision(places)).toExponential()).replace("e+", "e");
  return String(Number(v.toPrecision(places)));
}
// A word beside a plot, as much of it as fits.
const shortened = word => word.length > 9 ? word.slice(0, 7) + "…" : word;
// Round values between two, about four; powers of ten on a logarithmic axis.
function ticks(low, high, log) {
  if (log) {
    const all = [];
    for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power++) all.push(10 ** power);
    return all.filter((_, i) => i % Math.ceil(all.length / 4) === 0);
  }
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].find(s => s * power >= rough) * power;
  const all = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) all.push(k * step);
  return all;
}
function vector(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  element.append(...children);
  return element;
}
const WIDE = 370, HIGH = 104, LEFT = 72, RIGHT = 300, TOP = 6, BOTTOM = 86, BINS = 20, MOST_WORDS = 8;
const across = place => frames.length > 1 ? LEFT + 4 + (RIGHT - LEFT - 8) * place / (frames.length - 1) : (LEFT + RIGHT) / 2;
const marks = [];  // what follows the frame that is shown

function plot(column) {
  const words = [...new Set(column.values.filter(v => !isNone(v) && !isNumber(v)))];
  const values = words.length ? column.values.map(v => isNone(v) ? null : words.indexOf(v)) : column.values;
  const there = values.filter(isNumber);
  let low = Math.min(...there), high = Math.max(...there);
  if (!there.length || high === low || words.length > MOST_WORDS) return null;
  const log = !words.length && low > 0 && high / low >= 100, on = log ? Math.log10 : v => v;
  const places = digits(low, high), whole = there.every(Number.isInteger) && high - low <= BINS;
  const up = v => BOTTOM - 5 - (BOTTOM - TOP - 10) * (on(v) - on(low)) / (on(high) - on(low));
  const svg = vector("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${column.name} of every frame, and its histogram` });
  svg.append(vector("path", { class: "axis", d: `M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}M${RIGHT + 8} ${TOP}V${BOTTOM}` }));
  const at = words.length ? words.map((_, k) => k) : ticks(low, high, log).filter(v => !whole || Number.isInteger(v));
  let marked = at.length > 1 ? at : [low, high], label_of = v => words.length ? shortened(String(words[v])) : written(v, places);
  // Values that differ in late digits only have no room for all of these: what they are above the least is shown.
  const above = !words.length && marked.some(v => label_of(v).length > 10);
  if (above) [marked, label_of] = [ticks(0, high - low).map(v => low + v), v => "+" + written(v - low, 3)];
  for (const v of marked) {
    const label = vector("text", { x: LEFT - 5, y: up(v) + 4, "text-anchor": "end" }, label_of(v));
    if (words.length) label.append(vector("title", {}, words[v]));
    svg.append(label);
    svg.append(vector("path", { class: "axis", d: `M${LEFT - 3} ${up(v)}h3` }));
  }
  const ends = [[0, "start"], [frames.length - 1, "end"]];
  for (const [place, anchor] of ends) svg.append(vector("text", { x: across(place), y: HIGH - 5, "text-anchor": anchor }, frames[place].number));
  svg.append(vector("text", { x: (LEFT + RIGHT) / 2, y: HIGH - 5, "text-anchor": "middle" }, "frame"));
  svg.append(vector("text", { x: (RIGHT + 8 + WIDE) / 2, y: HIGH - 5, "text-anchor": "middle" }, "frames"));
  const radius = frames.length > 300 ? 1.6 : 2.4;
  values.forEach((v, place) => { if (isNumber(v)) svg.append(vector("circle", { class: "point", cx: across(place), cy: up(v), r: radius })); });
  histogram(svg, there, { low, high, on, words, whole, log, places });
  const cursor = vector("path", { class: "cursor" }), dot = vector("circle", { class: "now", r: 4 }), near = vector("circle", { class: "near", r: 5, visibility: "hidden" });
  svg.append(cursor, dot, near);
  const figure = document.createElement("figure"), caption = document.createElement("figcaption"), now = document.createElement("span"), head = document.createElement("span");
  head.textContent = column.name + " ";
  head.title = column.meaning;
  const units = document.createElement("span");
  units.className = "units";
  const remarks = [column.units, log ? "log scale" : "", above ? `above ${written(low, places)}` : ""];
  units.textContent = remarks.filter(Boolean).join(", ");
  head.append(units);
  now.className = "now";
  caption.append(head, now);
  figure.append(caption, svg);
  marks.push(() => {
    const v = values[current];
    cursor.setAttribute("d", `M${across(current)} ${TOP}V${BOTTOM}`);
    dot.setAttribute("visibility", isNumber(v) ? "visible" : "hidden");
    if (isNumber(v)) { dot.setAttribute("cx", across(current)); dot.setAttribute("cy", up(v)); }
    now.textContent = written(column.values[current], Math.max(5, places + 1));
  });
  const nearest = event => {
    const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) * WIDE / box.width, y = (event.clientY - box.top) * HIGH / box.height;
    let best = null, least = Infinity;
    if (x < RIGHT + 8) values.forEach((v, place) => {
      const away = isNumber(v) ? Math.hypot(across(place) - x, up(v) - y) : Infinity;
      if (away < least) [best, least] = [place, away];
    });
    return best;
  };
  svg.addEventListener("click", event => { const place = nearest(event); if (place !== null) jump(() => place)(); });
  svg.addEventListener("pointermove", event => {
    const place = nearest(event);
    near.setAttribute("visibility", place === null ? "hidden" : "visible");
    if (place === null) return;
    near.setAttribute("cx", across(place)); near.setAttribute("cy", up(values[place]));
    $("reading").textContent = `${frames[place].label}: ${column.name} ${written(column.values[place], Math.max(5, places + 1))} ${column.units}`;
  });
  svg.addEventListener("pointerleave", () => { near.setAttribute("visibility", "hidden"); $("reading").textContent = hint; });
  return figure;
}
// Bars to the right, on the axis of the plot.
function histogram(svg, there, { low, high, on, words, whole, places }) {
  const discrete = words.length > 0 || whole, count = discrete ? high - low + 1 : Math.min(BINS, Math.max(5, Math.ceil(2 * Math.cbrt(there.length))));
  const bins = new Array(count).fill(0), share = v => (on(v) - on(low)) / (on(high) - on(low));
  for (const v of there) bins[discrete ? v - low : Math.min(count - 1, Math.floor(share(v) * count))]++;
  const most = Math.max(...bins), tall = BOTTOM - TOP - 10;
  bins.forEach((n, k) => {
    const size = discrete ? Math.min(10, tall / (count - 1 || 1) * 0.8) : tall / count - 1;
    const y = BOTTOM - 5 - (discrete ? tall * k / (count - 1) + size / 2 : tall * (k + 1) / count - 0.5);
    const bar = vector("rect", { class: "bin", x: RIGHT + 8, y, width: (WIDE - RIGHT - 12) * n / most, height: size });
    bar.append(vector("title", {}, `${n} of ${there.length}`));
    svg.append(bar);
  });
}
// The spectrum of the frame that is shown.
function spectrum() {
  const [wavelengths, weights] = data.spectra, plain = list => list.flat().filter(isNumber);
  let low = Infinity, high = -Infinity, most = 0;
  for (const v of plain(wavelengths)) { low = Math.min(low, v); high = Math.max(high, v); }
  for (const v of plain(weights)) most = Math.max(most, v);
  if (!(high > low) || !most) return null;
  const svg = vector("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": "spectrum of the frame that is shown", style: "cursor: default" });
  const line = vector("path", { class: "line" }), x = v => LEFT + (WIDE - 8 - LEFT) * (v - low) / (high - low), y = v => BOTTOM - (BOTTOM - TOP) * v / most;
  svg.append(vector("path", { class: "axis", d: `M${LEFT} ${TOP}V${BOTTOM}H${WIDE - 8}` }), line);
  for (const v of [0, most]) svg.append(vector("text", { x: LEFT - 5, y: y(v) + (v ? 8 : 3), "text-anchor": "end" }, written(v, 2)));
  const places = digits(low, high);
  svg.append(vector("text", { x: LEFT, y: HIGH - 5 }, written(low, places)), vector("text", { x: WIDE - 8, y: HIGH - 5, "text-anchor": "end" }, written(high, places)));
  svg.append(vector("text", { x: (LEFT + WIDE) / 2, y: HIGH - 5, "text-anchor": "middle" }, "wavelength (Å)"));
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  caption.textContent = "spectrum";
  caption.title = "photons of the channels, 1 on average";
  figure.append(caption, svg);
  marks.push(() => {
    const points = wavelengths[current].map((v, k) => [v, weights[current][k]]).filter(p => p.every(isNumber)).sort((a, b) => a[0] - b[0]);
    line.setAttribute("d", points.map(([v, w], k) => `${k ? "L" : "M"}${x(v).toFixed(1)} ${y(w).toFixed(1)}`).join(""));
  });
  return figure;
}
function table() {
  const one = document.createElement("table"), head = one.createTHead().insertRow();
  const cell = (text, small) => {
    const th = document.createElement("th");
    th.scope = "col";
    th.textContent = text;
    if (small) th.append(Object.assign(document.createElement("small"), { textContent: small }));
    return th;
  };
  head.append(cell("frame"), ...data.columns.map(column => cell(column.name, column.units)));
  const body = one.createTBody();
  frames.forEach((picture, place) => {
    const row = body.insertRow();
    row.insertCell().textContent = picture.number + (picture.state ? ` (${picture.state})` : "");
    for (const column of data.columns) row.insertCell().textContent = written(column.values[place], 7);
    row.onclick = jump(() => place);
  });
  marks.push(() => {
    body.querySelector(".now")?.classList.remove("now");
    body.rows[current].classList.add("now");
  });
  return one;
}
const pictured = [...(data.spectra ? [spectrum()] : []), ...data.columns.map(plot)].filter(Boolean);
const hint = pictured.length ? "Click on a point to see its frame." : "Nothing is known to vary between the frames.";
$("reading").textContent = hint;
$("plots").append(...pictured);
$("has-table").hidden = !data.columns.length;
// A table of many frames takes a moment: it is made when it is opened.
$("has-table").addEventListener("toggle", () => {
  if ($("has-table").open && !$("table").firstChild) { $("table").append(table()); markValues(); }
});
function markValues() { for (const mark of marks) mark(); }

