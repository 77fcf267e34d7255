const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id), probe = document.documentElement.dataset;
const canvas = $("image"), pen = canvas.getContext("2d");
// What is shown: a picture of the page, its numbers, what is drawn over it, and its scale of grey.
let shown, numbers, scene, grey, finest, S0, S1, F0, F1;
const MISSING = 65535, MISSING_COLOUR = [243, 227, 195], RING = "#1f77b4", SPOT = "#b3470b", CENTRE = "#d62728";
const view = { x: 0, y: 0, zoom: 1 };        // middle of the canvas, pixels of the image; CSS pixels for one of them
let pointer = null;                          // of the mouse, CSS pixels; null: the middle of the canvas
let version = 0, waiting = 0, queued = false;
let fitted = false;                          // whether the whole image is shown, whatever the size of the window

// The numbers of a picture are parsed when it is first seen.
const parsed = new Map();
function load(picture) {
  if (!parsed.has(picture.key)) {
    const element = $(picture.key);
    parsed.set(picture.key, JSON.parse(element.textContent));
    element.remove();
  }
  return parsed.get(picture.key);
}
function show(picture) {
  const place = S0 === undefined ? "" : [S0, S1, F0, F1].join();
  [shown, numbers, scene, grey] = [picture, load(picture), data.scenes[picture.scene], data.greys[picture.kind]];
  [S0, S1, F0, F1] = scene.region;
  finest = numbers.levels[0];
  $("low").value = short(grey.low); $("high").value = short(grey.high); $("scale").value = grey.scale;
  $("has-rings").hidden = !data.scenes.some(one => one.rings.length); $("has-spots").hidden = !data.pictures.some(one => one.spots.length);
  $("rings").disabled = !scene.rings.length; $("spots").disabled = !picture.spots.length;
  version++;
  if (fitted && place !== [S0, S1, F0, F1].join()) fit();
  redraw();
}
// Four digits, in so few characters that a field shows all.
function short(v) {
  const rounded = Number(v.toPrecision(4)), plain = String(rounded);
  return plain.length > 7 ? rounded.toExponential().replace("e+", "e") : plain;
}

// Values: 16 bits of red and green hold a number on a linear or an asinh scale.
const valueOf = (code, c) => code.kind === "linear" ? code.low + c * code.width
  : code.low + code.width * Math.sinh(c / 65534 * code.reach);

// Grey: one byte for each code, worked out when it is met.
function shader(code, grey) {
  let { low, high } = grey;
  if (!(high > low)) high = low + (Math.abs(low) || 1);
  if (grey.scale === "log" && !(low > 0)) low = high > 0 ? high / 1e4 : 1e-4;
  const width = Math.min(grey.width, high - low) || 1;
  const share = {
    linear: v => (v - low) / (high - low),
    sqrt: v => Math.sqrt(Math.max(0, (v - low) / (high - low))),
    log: v => v > 0 ? Math.log(v / low) / Math.log(high / low) : 0,
    auto: v => Math.asinh((v - low) / width) / Math.asinh((high - low) / width),
  }[grey.scale];
  const table = new Int16Array(65535).fill(-1);
  return c => {
    if (table[c] < 0) table[c] = Math.round(255 * (1 - Math.min(1, Math.max(0, share(valueOf(code, c))))));
    return table[c];
  };
}

// Tiles are unpacked when they are first seen; `ready` is a promise that then is kept.
function tile(level, row, column) {
  const one = level.tiles[row][column];
  if (typeof one !== "string") return one;
  const entry = level.tiles[row][column] = { codes: null }, png = new Image();
  waiting++;
  entry.ready = new Promise(done => {
    png.onload = () => {
      const scratch = document.createElement("canvas");
      [scratch.width, scratch.height] = [png.naturalWidth, png.naturalHeight];
      const paper = scratch.getContext("2d", { willReadFrequently: true });
      paper.drawImage(png, 0, 0);
      const bytes = paper.getImageData(0, 0, scratch.width, scratch.height).data;
      const codes = entry.codes = new Uint16Array(bytes.length / 4);
      for (let i = 0; i < codes.length; i++) codes[i] = bytes[4 * i] << 8 | bytes[4 * i + 1];
      Object.assign(entry, { canvas: scratch, paper, shade: null });
      done();
    };
    png.onerror = done;
    png.src = "data:image/png;base64," + one;
  }).then(() => { waiting--; redraw(); });
  return entry;
}
function shaded(entry, shade) {
  if (entry.shade !== shade) {
    const pixels = entry.paper.createImageData(entry.canvas.width, entry.canvas.height), bytes = pixels.data;
    for (let i = 0; i < entry.codes.length; i++) {
      const c = entry.codes[i];
      if (c === MISSING) bytes.set(MISSING_COLOUR, 4 * i);
      else bytes[4 * i] = bytes[4 * i + 1] = bytes[4 * i + 2] = shade(c);
      bytes[4 * i + 3] = 255;
    }
    entry.paper.putImageData(pixels, 0, 0);
    entry.shade = shade;
  }
  return entry.canvas;
}
// How a level of the picture that is shown is shaded, made again when picture or scale change.
const shades = new Map();
function shadeOf(level) {
  if (shades.version !== version) { shades.clear(); shades.version = version; }
  const own = level.thumbnail ? thumbnailGrey() : grey;
  if (!shades.has(own)) shades.set(own, shader(numbers.code, own));
  return shades.get(own);
}
let thumbnailGrey = () => grey;  // of a series thumbnails have a scale of their own

const width = () => canvas.clientWidth, height = () => canvas.clientHeight;
const toScreen = (fast, slow) => [(fast - view.x) * view.zoom + width() / 2, (slow - view.y) * view.zoom + height() / 2];
const toImage = (x, y) => [(x - width() / 2) / view.zoom + view.x, (y - height() / 2) / view.zoom + view.y];

function redraw() {
  if (!queued) { queued = true; requestAnimationFrame(draw); }
}
function draw() {
  queued = false;
  const ratio = window.devicePixelRatio || 1;
  const size = [Math.round(width() * ratio), Math.round(height() * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width(), height());
  const level = numbers.levels.filter(one => one.factor * view.zoom * ratio <= 1.3).pop() || finest;
  const pieces = inView(level);
  if (pieces.some(piece => !piece.entry.codes)) drawPieces(inView(numbers.levels.at(-1)), ratio);
  drawPieces(pieces, ratio);
  if (scene.border) {
    const [s0, s1, f0, f1] = scene.border, [x, y] = toScreen(f0, s0);
    pen.strokeStyle = "#2ca02c";
    pen.lineWidth = 1;
    pen.strokeRect(x, y, (f1 - f0) * view.zoom, (s1 - s0) * view.zoom);
  }
  const taken = scene.centre ? [crossBox()] : [];
  if ($("rings").checked && scene.rings.length) drawRings(taken);
  drawCentre();
  if ($("spots").checked) drawSpots(taken);
  if (!pointer && document.activeElement === canvas) drawMiddle();
  read();
  Object.assign(probe, { x: view.x, y: view.y, zoom: view.zoom, level: level.factor, rings: $("rings").checked, spots: $("spots").checked });
  if (data.pictures.length > 1) probe.picture = shown.label;
  if (!waiting) probe.ready = "yes"; else delete probe.ready;
}
// The tiles of a level that are in view, with their corner, pixels.
function inView(level) {
  const [left, top] = toImage(0, 0), [right, bottom] = toImage(width(), height());
  const span = data.tile * level.factor, found = [];
  for (let row = 0; row < level.tiles.length; row++) {
    const y = level.top + row * span;
    if (y > bottom || y + span < top) continue;
    for (let column = 0; column < level.tiles[row].length; column++) {
      const x = level.left + column * span;
      if (x <= right && x + span >= left) found.push({ entry: tile(level, row, column), x, y, level });
    }
  }
  return found;
}
function drawPieces(pieces, ratio) {
  pen.save();
  pen.beginPath();
  pen.rect(...toScreen(F0, S0), (F1 - F0) * view.zoom, (S1 - S0) * view.zoom);
  pen.clip();
  // Ends of tiles are put on whole pixels of the screen: no seams.
  const snap = v => Math.round(v * ratio) / ratio;
  for (const { entry, x, y, level } of pieces) {
    if (!entry.codes) continue;
    const factor = level.factor;
    pen.imageSmoothingEnabled = factor * view.zoom * ratio < 1;
    const [x0, y0] = toScreen(x, y).map(snap);
    const [x1, y1] = toScreen(x + entry.canvas.width * factor, y + entry.canvas.height * factor).map(snap);
    pen.drawImage(shaded(entry, shadeOf(level)), x0, y0, x1 - x0, y1 - y0);
  }
  pen.restore();
}
function write(text, x, y, colour, font) {
  pen.font = font;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  pen.lineWidth = 4;
  pen.strokeStyle = "#fff";
  pen.strokeText(text, x, y);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}
function box(text, x, y, font) {
  pen.font = font;
  const half = pen.measureText(text).width / 2 + 2;
  return [x - half, y - 8, x + half, y + 8];
}
const meets = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
const inside = b => b[0] >= 0 && b[1] >= 0 && b[2] <= width() && b[3] <= height();
function drawRings(taken) {
  const font = "13px system-ui, sans-serif";
  for (const ring of scene.rings) {
    let best = null;
    pen.strokeStyle = RING;
    pen.globalAlpha = 0.6;
    pen.lineWidth = 1;
    for (const line of ring.lines) {
      pen.beginPath();
      for (let i = 0; i < line.length; i += 2) {
        const [x, y] = toScreen(line[i], line[i + 1]);
        pen.lineTo(x, y);
        // The highest point in view that no other label is near.
        const b = box(ring.text, x, y, font);
        if (inside(b) && (!best || y < best[1]) && !taken.some(o => meets(b, o))) best = [x, y, b];
      }
      pen.stroke();
    }
    pen.globalAlpha = 1;
    if (best) { taken.push(best[2]); ring.at = best; } else ring.at = null;
  }
  for (const ring of scene.rings) if (ring.at) write(ring.text, ring.at[0], ring.at[1], RING, font);
}
function crossBox() {
  const [x, y] = toScreen(scene.centre[1], scene.centre[0]);
  return [x - 11, y - 11, x + 11, y + 11];
}
function drawCentre() {
  if (!scene.centre) return;
  const [x, y] = toScreen(scene.centre[1], scene.centre[0]);
  for (const [colour, wide] of [["#fff", 4], [CENTRE, 2]]) {
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    pen.beginPath();
    pen.moveTo(x - 9, y); pen.lineTo(x + 9, y);
    pen.moveTo(x, y - 9); pen.lineTo(x, y + 9);
    pen.stroke();
  }
}
function drawSpots(taken) {
  const font = "12px system-ui, sans-serif", radius = Math.max(6, 2.5 * view.zoom);
  const seen = shown.spots.map(spot => [spot, ...toScreen(spot.fast, spot.slow)])
    .filter(([, x, y]) => x > -20 && y > -20 && x < width() + 20 && y < height() + 20).slice(0, 150);
  pen.strokeStyle = SPOT;
  pen.lineWidth = 1.2;
  for (const [, x, y] of seen) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.stroke();
    taken.push([x - radius, y - radius, x + radius, y + radius]);
  }
  for (const [spot, x, y] of seen) {
    const away = radius + 9, aside = pen.measureText(spot.text).width / 2 + radius + 5;
    for (const [dx, dy] of [[0, -away], [aside, 0], [0, away], [-aside, 0]]) {
      const b = box(spot.text, x + dx, y + dy, font);
      if (inside(b) && !taken.some(o => meets(b, o))) {
        taken.push(b);
        write(spot.text, x + dx, y + dy, SPOT, font);
        break;
      }
    }
  }
}
function drawMiddle() {
  const x = width() / 2, y = height() / 2;
  pen.strokeStyle = "#000a";
  pen.lineWidth = 1;
  pen.strokeRect(x - 5, y - 5, 10, 10);
}

// What lies under the pointer, or in the middle where there is none.
const add = (...v) => [0, 1, 2].map(i => v.reduce((sum, one) => sum + one[i], 0));
const times = (v, k) => v.map(x => x * k);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const turned = (v, axis, angle) => add(times(v, Math.cos(angle)), times(axis, dot(v, axis) * (1 - Math.cos(angle))),
  times(cross(axis, v), Math.sin(angle)));
function spacing(fast, slow) {
  const g = scene.geometry;
  let place = add(g.origin, times(g.slow, slow * g.pixel), times(g.fast, fast * g.pixel));
  if (g.curved !== null) {
    const [, y, z] = place;
    place = turned(turned(times(g.beam, g.curved), g.slow, y / g.curved), g.fast, z / g.curved);
  }
  const change = add(times(place, 1 / Math.hypot(...place)), times(g.beam, -1 / Math.hypot(...g.beam)));
  return g.wavelength / Math.hypot(...change) * 1e10;
}
// The pixel of a panel that a pixel of the image shows: null in a gap, undefined where there is one panel alone.
function onPanel(fast, slow) {
  if (scene.stacked.length) {
    let panel = 0;
    while (panel < scene.stacked.length - 1 && slow >= scene.stacked[panel]) slow -= scene.stacked[panel++];
    return { panel, fast, slow };
  }
  if (!scene.assembled.length) return undefined;
  const g = scene.geometry;
  const ray = add(g.origin, times(g.slow, (slow + 0.5) * g.pixel), times(g.fast, (fast + 0.5) * g.pixel));
  let found = null;
  scene.assembled.forEach((one, panel) => {
    const normal = cross(one.slow, one.fast);
    const away = add(times(ray, dot(one.origin, normal) / dot(ray, normal)), times(one.origin, -1));
    // Axes need not be at right angles.
    const [ss, sf, ff] = [dot(one.slow, one.slow), dot(one.slow, one.fast), dot(one.fast, one.fast)];
    const [s, f] = [dot(away, one.slow), dot(away, one.fast)], area = (ss * ff - sf * sf) * one.pixel;
    const at = [(s * ff - f * sf) / area, (f * ss - s * sf) / area].map(v => Math.floor(v + 1e-6));
    if (at[0] >= 0 && at[1] >= 0 && at[0] < one.shape[0] && at[1] < one.shape[1]) found = { panel, slow: at[0], fast: at[1] };
  });
  return found;
}
function read() {
  const [fast, slow] = toImage(...(pointer || [width() / 2, height() / 2])).map(Math.floor);
  for (const name of ["fast", "slow", "panel", "resolution", "value"]) delete probe[name];
  if (fast < F0 || fast >= F1 || slow < S0 || slow >= S1) {
    $("where").textContent = "outside the image";
    $("resolution").textContent = $("value").textContent = "";
    return;
  }
  const own = onPanel(fast, slow), on = own ? `panel ${own.panel}: fast ${own.fast}, slow ${own.slow}` : "in a gap";
  $("where").textContent = `fast ${fast}, slow ${slow}${own === undefined ? "" : ` (${on})`}`;
  Object.assign(probe, { fast, slow, panel: own === undefined ? "" : own ? [own.panel, own.fast, own.slow].join() : "gap" });
  $("resolution").textContent = "";
  if (scene.geometry && scene.geometry.wavelength) {
    const d = probe.resolution = spacing(fast + 0.5, slow + 0.5);
    $("resolution").textContent = isFinite(d) ? `${Number(d.toPrecision(4))} Å` : "direct beam";
  }
  const row = Math.floor((slow - finest.top) / finest.factor), column = Math.floor((fast - finest.left) / finest.factor);
  const entry = tile(finest, Math.floor(row / data.tile), Math.floor(column / data.tile));
  if (!entry.codes) return;
  const c = entry.codes[row % data.tile * entry.canvas.width + column % data.tile];
  const value = probe.value = c === MISSING ? "missing" : valueOf(numbers.code, c);
  $("value").textContent = c === MISSING ? own === null ? "" : "no value"
    : `${Number(value.toPrecision(numbers.code.kind === "linear" ? 9 : 3))} ${numbers.units}${finest.reduced ? ` (${finest.reduced})` : ""}`;
}

// Moving about; the place is kept in the URL.
function fit() {
  const zoom = Math.min(width() / (F1 - F0), height() / (S1 - S0));
  Object.assign(view, { x: (F0 + F1) / 2, y: (S0 + S1) / 2, zoom });
  fitted = true;
}
function zoomBy(factor, at) {
  const [x, y] = at || [width() / 2, height() / 2], [fast, slow] = toImage(x, y);
  fitted = false;
  const least = Math.min(width() / (F1 - F0), height() / (S1 - S0)) / 4;
  view.zoom = Math.min(200, Math.max(least, view.zoom * factor));
  view.x = fast - (x - width() / 2) / view.zoom;
  view.y = slow - (y - height() / 2) / view.zoom;
  settle();
}
function moveBy(x, y) {
  fitted = false;
  view.x += x / view.zoom;
  view.y += y / view.zoom;
  settle();
}
let late = 0;
function settle() {
  view.x = Math.min(F1, Math.max(F0, view.x));
  view.y = Math.min(S1, Math.max(S0, view.y));
  remember();
  redraw();
}
function remember() {
  clearTimeout(late);
  late = setTimeout(() => { try { history.replaceState(null, "", "#" + address()); } catch (e) {} }, 200);
}
// The place, unless the whole image is shown, and which picture it is, where there are several.
function address() {
  const place = fitted ? [] : [view.x.toFixed(2), view.y.toFixed(2), Number(view.zoom.toPrecision(5))];
  return [...place, ...(data.pictures.length > 1 ? [shown.kind === "frame" ? shown.number : shown.kind] : [])].join();
}
function fromHash() {
  const words = location.hash.slice(1).split(",").filter(word => word);
  const named = words.length % 3 === 1 ? words.pop() : "";
  const asked = data.pictures.find(one => named && (one.kind === "frame" ? String(one.number) : one.kind) === named);
  if (asked && asked !== shown) turn(asked);
  const [x, y, zoom] = words.map(Number);
  if (words.length === 3 && isFinite(x) && isFinite(y) && zoom > 0) {
    fitted = false;
    Object.assign(view, { x: Math.min(F1, Math.max(F0, x)), y: Math.min(S1, Math.max(S0, y)), zoom: Math.min(200, zoom) });
    return true;
  }
  return false;
}
let turn = show;  // what shows another picture; of a series with all that follows it
const toggle = id => { if (!$(id).disabled) { $(id).checked = !$(id).checked; $(id).onchange(); } };
const KEYS = {
  ArrowLeft: () => moveBy(-step(), 0), ArrowRight: () => moveBy(step(), 0),
  ArrowUp: () => moveBy(0, -step()), ArrowDown: () => moveBy(0, step()),
  "Shift+ArrowLeft": () => moveBy(-step(), 0), "Shift+ArrowRight": () => moveBy(step(), 0),
  "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5),
  0: () => { fit(); settle(); }, 1: () => { fitted = false; view.zoom = 1; settle(); },
  r: () => toggle("rings"), s: () => toggle("spots"),
};
const step = () => Math.max(40, view.zoom);  // a pixel at least
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT/.test(event.target.tagName) && event.target.type !== "checkbox") return;
  if (event.key === " " && /BUTTON|INPUT|SUMMARY/.test(event.target.tagName)) return;
  const act = event.shiftKey && KEYS["Shift+" + event.key] || KEYS[event.key];
  if (act) { if (event.key.startsWith("Arrow")) pointer = null; act(); event.preventDefault(); }
});
const at = event => { const b = canvas.getBoundingClientRect(); return [event.clientX - b.left, event.clientY - b.top]; };
let dragged = null;
canvas.addEventListener("pointerdown", event => { dragged = at(event); canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener("pointerup", () => { dragged = null; });
canvas.addEventListener("pointercancel", () => { dragged = null; });
canvas.addEventListener("pointermove", event => {
  pointer = at(event);
  if (dragged) { moveBy(dragged[0] - pointer[0], dragged[1] - pointer[1]); dragged = pointer; }
  redraw();
});
canvas.addEventListener("pointerleave", () => { pointer = null; redraw(); });
canvas.addEventListener("wheel", event => { zoomBy(Math.exp(-event.deltaY / (event.deltaMode ? 10 : 400)), at(event)); event.preventDefault(); }, { passive: false });
canvas.addEventListener("focus", redraw);
canvas.addEventListener("blur", redraw);
$("in").onclick = KEYS["+"]; $("out").onclick = KEYS["-"]; $("fit").onclick = KEYS[0]; $("one").onclick = KEYS[1];
$("rings").onchange = $("spots").onchange = redraw;
for (const id of ["scale", "low", "high"]) $(id).onchange = () => {
  Object.assign(grey, { scale: $("scale").value, low: Number($("low").value), high: Number($("high").value) });
  version++;
  rescaled();
  redraw();
};
let rescaled = () => {};  // what else follows the scale
window.addEventListener("hashchange", () => { if (fromHash()) redraw(); });

function begin() {
  $("rings").checked = data.show.rings && data.scenes.some(one => one.rings.length);
  $("spots").checked = data.pictures.some(one => one.spots.length);
  turn(data.pictures[0]);
  if (!fromHash()) fit();
  // Drawn at once: before the next frame of the screen a canvas of another size is stretched.
  new ResizeObserver(() => { if (fitted) fit(); draw(); }).observe(canvas);
  draw();
}
