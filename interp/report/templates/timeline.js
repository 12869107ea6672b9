/* The page with the slider, whose address holds every choice; what it shares with other pages is in drawing.js. */
(function () {
  "use strict";
  var NAMES = { E: "Encoder self-attention", D: "Decoder self-attention", X: "Cross-attention" };
  var KINDS = { E: "encoder", D: "decoder", X: "cross" };
  var find = drawing.find, make = drawing.make, draw = drawing.draw, fixed = drawing.fixed;
  var BLUE = "#0072B2", PACE = 700;
  var runs = [], state = { run: 0, step: 0, head: "", prompt: 0 }, playing = null;

  function grouped(step) { return String(step).replace(/\B(?=(\d{3})+$)/g, ","); }
  function run() { return runs[state.run]; }
  function parts(name) { var match = /^([EDX])L(\d+)H(\d+)$/.exec(name); return match && { kind: match[1], layer: Number(match[2]), head: Number(match[3]) }; }

  /* The address: #step=216&run=2&head=XL1H3&prompt=1; what it names and does not exist is left as it was. */
  function readAddress(hash) {
    var given = {};
    hash.slice(1).split("&").forEach(function (part) { var at = part.indexOf("="); given[part.slice(0, at)] = part.slice(at + 1); });
    if (/^\d+$/.test(given.run) && runs[given.run - 1]) { state.run = given.run - 1; }
    if (/^\d+$/.test(given.step) && run().steps.indexOf(Number(given.step)) >= 0) { state.step = run().steps.indexOf(Number(given.step)); }
    if (run().heads[given.head]) { state.head = given.head; }
    var bare = hash.slice(1).split("&")[0];
    if (run().heads[bare]) { state.head = bare; }
    if (/^\d+$/.test(given.prompt) && run().prompts[given.prompt - 1]) { state.prompt = given.prompt - 1; }
  }
  function address() {
    return "#step=" + run().steps[state.step] + "&run=" + (state.run + 1) + "&head=" + state.head + "&prompt=" + (state.prompt + 1);
  }
  function change(changes) {
    if (changes.run !== undefined && changes.run !== state.run) {
      /* Another run at the same step, or at the one before it. */
      var step = run().steps[state.step], steps = runs[changes.run].steps;
      changes.step = Math.max(0, steps.filter(function (one) { return one <= step; }).length - 1);
    }
    Object.assign(state, changes);
    render();
  }

  function render() {
    var own = run();
    state.step = Math.min(Math.max(state.step, 0), own.steps.length - 1);
    state.prompt = Math.min(state.prompt, Math.max(own.prompts.length - 1, 0));
    if (!own.heads[state.head]) { state.head = Object.keys(own.heads)[0] || ""; }
    find("step").max = own.steps.length - 1;
    find("step").value = state.step;
    find("choice-run").value = state.run;
    find("choice-prompt").value = state.prompt;
    var said = "Step " + grouped(own.steps[state.step]);
    find("step-said").textContent = said + ": loss " + fixed(own.loss[state.step]) + ", " + Math.round(100 * own.right[state.step]) + " % of the tokens right";
    find("step").setAttribute("aria-valuetext", said);
    [renderAtlas, renderLearning, renderHead, renderPattern].forEach(function (part) { part(); });
    try { history.replaceState(null, "", address()); } catch (error) { /* a page without an address of its own */ }
    find("explorer").hidden = false;
    document.body.setAttribute("data-state", address());
  }

  function renderAtlas() {
    var place = find("atlas"), had = document.activeElement && document.activeElement.dataset.head, heads = Object.keys(run().heads);
    place.replaceChildren();
    if (!heads.length) { place.append(make("p", "The analysis of heads was not asked for.", { "class": "source" })); }
    Object.keys(NAMES).forEach(function (kind) {
      var own = heads.map(parts).filter(function (one) { return one && one.kind === kind; });
      if (!own.length) { return; }
      var layers = 1 + Math.max.apply(null, own.map(function (one) { return one.layer; })), wide = 1 + Math.max.apply(null, own.map(function (one) { return one.head; }));
      place.append(drawing.atlas(NAMES[kind], drawing.range(layers), wide, function (layer, head) { return cell(kind + "L" + layer + "H" + head); }));
    });
    if (had) { var again = place.querySelector('[data-head="' + state.head + '"]'); if (again) { again.focus(); } }
  }
  function cell(name) {
    var moment = run().heads[name].moments[state.step], chosen = name === state.head;
    var button = make("button", moment[0], {
      type: "button", "data-head": name, "aria-pressed": chosen, "aria-label": name + (moment[0] ? " " + moment[0] : "") + ", " + moment[3], title: name + ": " + moment[3], tabindex: chosen ? 0 : -1
    });
    button.style.background = moment[1];
    button.style.color = moment[2];
    button.addEventListener("click", function () { change({ head: name }); });
    button.addEventListener("keydown", function (event) {
      var time = { PageUp: -1, PageDown: 1 }[event.key], at = parts(name), to;
      if (time) { event.preventDefault(); change({ step: state.step + time }); return; }
      var step = drawing.arrow(event);
      if (!step) { return; }
      event.preventDefault();
      to = at.kind + "L" + (at.layer + step[0]) + "H" + (at.head + step[1]);
      if (!run().heads[to]) {
        var kinds = Object.keys(NAMES), next = kinds[kinds.indexOf(at.kind) + step[0]], layer = 0;
        if (!next) { return; }
        if (step[0] < 0) { while (run().heads[next + "L" + (layer + 1) + "H0"]) { layer += 1; } }
        to = next + "L" + layer + "H" + at.head;
      }
      if (run().heads[to]) { document.activeElement.dataset.head = to; change({ head: to }); }
    });
    return button;
  }

  /* Lines over log(step + 1), with an upright line at the step that is shown; a click goes to the nearest step. */
  function chart(lines, top, bottom, label) {
    var steps = run().steps, last = Math.log1p(steps[steps.length - 1]), first = Math.log1p(steps[0]);
    var left = 34, right = 352, low = 128, high = 10;
    function x(step) { return left + (right - left) * (Math.log1p(step) - first) / Math.max(last - first, 1e-9); }
    function y(value) { return low - (low - high) * (value - bottom) / Math.max(top - bottom, 1e-9); }
    var svg = draw("svg", { "class": "chart", viewBox: "0 0 360 150", role: "img", "aria-label": label });
    [bottom, (top + bottom) / 2, top].forEach(function (value) {
      svg.append(draw("path", { d: "M" + left + " " + y(value) + "H" + right, stroke: "#d9dee3" }));
      svg.append(draw("text", { x: left - 4, y: y(value) + 4, "text-anchor": "end" }, String(Math.round(100 * value) / 100).replace("-", "\u2212")));
    });
    svg.append(draw("text", { x: left, y: 146 }, grouped(steps[0])));
    svg.append(draw("text", { x: right, y: 146, "text-anchor": "end" }, grouped(steps[steps.length - 1]) + " steps"));
    svg.append(draw("path", { d: "M" + x(steps[state.step]) + " " + high + "V" + low, stroke: "#1b1f24", "stroke-dasharray": "4 3" }));
    lines.forEach(function (line) {
      var path = "", joined = false;
      line.values.forEach(function (value, place) {
        if (value === null) { joined = false; return; }
        path += (joined ? "L" : "M") + x(steps[place]).toFixed(1) + " " + y(value).toFixed(1);
        joined = true;
      });
      svg.append(draw("path", { d: path, fill: "none", stroke: line.color, "stroke-width": 2, "stroke-dasharray": line.dash || "none" }));
      if (line.values[state.step] !== null) { svg.append(draw("circle", { cx: x(steps[state.step]), cy: y(line.values[state.step]), r: 4, fill: line.color })); }
    });
    svg.addEventListener("click", function (event) {
      var box = svg.getBoundingClientRect(), at = (event.clientX - box.left) * 360 / box.width, best = 0;
      steps.forEach(function (step, place) { if (Math.abs(x(step) - at) < Math.abs(x(steps[best]) - at)) { best = place; } });
      change({ step: best });
    });
    var key = make("ul", lines.map(function (line) {
      var mark = draw("svg", { width: 26, height: 10, "aria-hidden": "true" }), value = line.values[state.step];
      mark.append(draw("path", { d: "M0 5H26", stroke: line.color, "stroke-width": 2.5, "stroke-dasharray": line.dash || "none" }));
      return make("li", [mark, " " + line.label + " " + (value === null ? "\u2013" : fixed(value))]);
    }), { "class": "key" });
    return [svg, key];
  }
  function renderLearning() {
    var own = run(), top = Math.max.apply(null, own.loss);
    find("learning").replaceChildren.apply(find("learning"), chart([
      { label: "loss (nats)", color: "#D55E00", values: own.loss },
      { label: "tokens right, as a share of the height", color: "#0072B2", dash: "6 3", values: own.right.map(function (share) { return share * Math.max(top, 1); }) }
    ], Math.max(top, 1), 0, "Loss and share of tokens that are right over the steps"));
    find("learning").querySelectorAll("li")[1].lastChild.textContent = " tokens right " + Math.round(100 * own.right[state.step]) + " % (the whole height is 100 %)";
  }
  function renderHead() {
    var own = run().heads[state.head], place = find("scores");
    find("head-title").textContent = state.head || "No head";
    place.replaceChildren();
    if (!own) { find("role").textContent = ""; return; }
    find("role").textContent = own.moments[state.step][3].replace(/^./, function (letter) { return letter.toUpperCase(); }) + ".";
    var dashes = ["none", "6 3", "2 2", "8 2 2 2"];
    var lines = own.scores.map(function (score, at) { return { label: score[0], color: score[1], dash: dashes[at % dashes.length], values: score[2] }; });
    var lowest = Math.min.apply(null, lines.map(function (line) { return Math.min.apply(null, line.values.map(function (value) { return value === null ? 0 : value; })); }).concat([0]));
    place.append.apply(place, chart(lines, 1, lowest < -0.5 ? -1 : lowest < -0.05 ? -0.5 : 0, "Scores of " + state.head + " over the steps"));
  }
  function renderPattern() {
    var at = parts(state.head), own = run(), prompt = own.prompts[state.prompt], place = find("pattern");
    place.replaceChildren();
    find("pattern-title").textContent = prompt && at ? state.head + " on prompt " + prompt.title : "Patterns";
    if (!prompt || !at) { place.append(make("p", "No prompt is small enough for its patterns to be kept in this page.")); return; }
    var kind = KINDS[at.kind], rows = kind === "encoder" ? prompt.source : prompt.target, keys = kind === "decoder" ? prompt.target : prompt.source;
    place.append(drawing.pattern(rows, keys, function (row, key) {
      return kind === "decoder" && key > row ? null : own.numbers[kind].at(state.step, state.prompt, at.layer, at.head, row, key);
    }, BLUE, { role: "img", "aria-label": "Rows attend to columns; the darker, the larger the weight" }));
  }

  function stop() {
    if (playing !== null) { clearInterval(playing); playing = null; }
    find("play").textContent = "Play";
    find("play").setAttribute("aria-pressed", "false");
  }
  function play() {
    if (playing !== null) { stop(); return; }
    if (state.step === run().steps.length - 1) { change({ step: 0 }); }
    find("play").textContent = "Pause";
    find("play").setAttribute("aria-pressed", "true");
    playing = setInterval(function () {
      if (state.step >= run().steps.length - 1) { stop(); return; }
      change({ step: state.step + 1 });
    }, PACE);
  }

  document.addEventListener("DOMContentLoaded", function () {
    Promise.all(Array.from(document.getElementsByClassName("timeline-run")).map(drawing.inflate)).then(function (buffers) {
      runs = buffers.map(drawing.unpack);
      runs.forEach(function (one, place) { find("choice-run").append(make("option", one.name, { value: place })); });
      runs[0].prompts.forEach(function (one, place) { find("choice-prompt").append(make("option", one.title, { value: place })); });
      state.step = runs[0].steps.length - 1;
      readAddress(location.hash);
      find("step").addEventListener("input", function () { stop(); change({ step: Number(find("step").value) }); });
      find("choice-run").addEventListener("change", function () { change({ run: Number(find("choice-run").value) }); });
      find("choice-prompt").addEventListener("change", function () { change({ prompt: Number(find("choice-prompt").value) }); });
      find("play").addEventListener("click", play);
      window.addEventListener("hashchange", function () { readAddress(location.hash); render(); });
      render();
    });
  });
})();
