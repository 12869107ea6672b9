/* The page to explore; what it shares with other pages is in drawing.js. */
(function () {
  "use strict";
  var PREFIX = { encoder: "EL", decoder: "DL", cross: "XL" };
  var KINDS = { EL: "encoder", DL: "decoder", XL: "cross" };
  var NAMES = { encoder: "Encoder self-attention", decoder: "Decoder self-attention", cross: "Cross-attention" };
  var find = drawing.find, make = drawing.make, fixed = drawing.fixed, range = drawing.range, paint = drawing.paint;
  var COMPONENTS_SHOWN = 10;
  var index, prompt, shown = -1, pieces = [];
  var state = { kind: "cross", layer: 0, head: 0, prompt: 0, row: 0, step: 0, word: "" };

  /* A state counts the layers that the page has; a page of some layers says which they are. */
  function layers(kind) { return index.layers[kind] || range(prompt.numbers[kind] ? prompt.numbers[kind].shape[0] : 1); }
  function placed(kind, layer) { return index.layers[kind] ? Math.max(index.layers[kind].indexOf(layer), 0) : layer; }
  function name(kind, layer, head) { return PREFIX[kind] + layers(kind)[layer] + "H" + head; }
  /* Whether there are patterns alone, as from a cache. */
  function partial() { return !prompt.lens.length; }
  function current() { return name(state.kind, state.layer, state.head); }
  function queries() { return state.kind === "encoder" ? prompt.source : prompt.target; }
  function keys() { return state.kind === "decoder" ? prompt.target : prompt.source; }
  function weight(row, key) { return prompt.numbers[state.kind].at(state.layer, state.head, row, key); }

  /* The address: #XL2H4&prompt=3&row=5, prompts from 1, rows from 0; what it names and does not exist is left as it was. */
  function readAddress(hash) {
    var parts = hash.slice(1).split("&"), given = {};
    parts.forEach(function (part) {
      var at = part.indexOf("=");
      try { given[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1)); } catch (error) { /* not ours */ }
    });
    var match = /^([EDX]L)(\d+)H(\d+)$/i.exec(parts[0] || "");
    if (match) {
      state.kind = KINDS[match[1].toUpperCase()];
      state.layer = placed(state.kind, Number(match[2]));
      state.head = Number(match[3]);
    }
    if (/^\d+$/.test(given.prompt) && index.titles[given.prompt - 1]) { state.prompt = given.prompt - 1; }
    if (/^\d+$/.test(given.row)) { state.row = Number(given.row); }
    if (/^\d+$/.test(given.step)) { state.step = Number(given.step); }
    else if (state.kind !== "encoder") { state.step = state.row; }
    state.word = given.word || "";
  }
  function address(changes) {
    var to = Object.assign({}, state, changes);
    return "#" + name(to.kind, to.layer, to.head) + "&prompt=" + (to.prompt + 1) + "&row=" + to.row +
      (to.kind === "encoder" ? "&step=" + to.step : "") + (to.word ? "&word=" + encodeURIComponent(to.word) : "");
  }
  function settle() {
    if (!prompt.numbers[state.kind]) { state.kind = Object.keys(PREFIX).find(function (kind) { return prompt.numbers[kind]; }) || "cross"; }
    var shape = (prompt.numbers[state.kind] || { shape: [1, 1] }).shape;
    state.layer = Math.min(state.layer, shape[0] - 1);
    state.head = Math.min(state.head, shape[1] - 1);
    state.step = Math.min(state.step, prompt.target.length - 1);
    state.row = state.kind === "encoder" ? Math.min(state.row, prompt.source.length - 1) : state.step;
  }
  function change(changes) {
    if (changes.row !== undefined && (changes.kind || state.kind) !== "encoder") { changes.step = changes.row; }
    if (changes.step !== undefined && (changes.kind || state.kind) !== "encoder") { changes.row = changes.step; }
    Object.assign(state, changes);
    return render();
  }

  function render() {
    var wanted = state.prompt;
    var ready = shown === wanted ? Promise.resolve() : drawing.inflate(pieces[wanted]).then(function (buffer) {
      prompt = drawing.unpack(buffer);
      shown = wanted;
      fillSteps();
    });
    return ready.then(function () {
      if (wanted !== state.prompt) { return render(); }
      settle();
      find("choice-prompt").value = state.prompt;
      find("choice-step").value = state.step;
      [renderAtlas, renderAttention, renderPattern, renderCard].concat(partial() ? [] : [renderWrites, renderComponents, renderLens, renderNeighbors]).forEach(
        function (part) { part(); });
      ["writes", "components", "lens", "neighbors"].forEach(function (part) { find(part).closest("section").hidden = partial(); });
      try { history.replaceState(null, "", address({})); } catch (error) { /* a page without an address of its own */ }
      find("explorer").hidden = false;
      document.body.setAttribute("data-state", address({}));
    });
  }

  function fillSteps() {
    find("choice-step").replaceChildren.apply(find("choice-step"), prompt.labels.map(function (label, step) {
      return make("option", step + ": " + label, { value: step });
    }));
  }

  function renderAtlas() {
    var place = find("atlas"), had = document.activeElement && document.activeElement.dataset.head;
    place.replaceChildren();
    var noted = Object.keys(index.heads).length > 0;
    find("atlas-marks").hidden = !noted;
    find("atlas-shade").hidden = noted;
    Object.keys(PREFIX).forEach(function (kind) {
      var numbers = prompt.numbers[kind];
      if (!numbers) {
        if (!partial()) { place.append(make("p", NAMES[kind] + " is left out: this prompt is too long for it.", { "class": "source" })); }
        return;
      }
      place.append(drawing.atlas(NAMES[kind], layers(kind), numbers.shape[1], function (layer, head) { return cell(kind, layer, head); }));
    });
    if (had) { var again = place.querySelector('[data-head="' + current() + '"]'); if (again) { again.focus(); } }
  }
  function cell(kind, layer, head) {
    var own = name(kind, layer, head), note = index.heads[own], chosen = own === current();
    var button = make("button", note ? note.code : "", {
      type: "button", "data-head": own, "aria-pressed": chosen, "aria-label": own + (note ? " " + note.code + ", " + note.role : ""), title: own + (note ? ": " + note.role : ""), tabindex: chosen ? 0 : -1
    });
    if (note) {
      button.style.background = note.color;
      button.style.color = note.ink;
      if (note.mark) { button.classList.add(note.mark); }
    } else { paint(button, index.hues.blue, sharpness(kind, layer, head)); }
    button.addEventListener("click", function () { change({ kind: kind, layer: layer, head: head, row: kind === "encoder" && state.kind === "encoder" ? state.row : state.step }); });
    button.addEventListener("keydown", function (event) { move(event, kind, layer, head); });
    return button;
  }
  function move(event, kind, layer, head) {
    var order = Object.keys(PREFIX).filter(function (one) { return prompt.numbers[one]; }), at = order.indexOf(kind);
    var step = drawing.arrow(event);
    if (!step) { return; }
    event.preventDefault();
    layer += step[0];
    head += step[1];
    if (layer < 0 && at > 0) { kind = order[at - 1]; layer = prompt.numbers[kind].shape[0] - 1; }
    else if (layer >= prompt.numbers[kind].shape[0] && at < order.length - 1) { kind = order[at + 1]; layer = 0; }
    var shape = prompt.numbers[kind].shape;
    change({ kind: kind, layer: Math.min(Math.max(layer, 0), shape[0] - 1), head: Math.min(Math.max(head, 0), shape[1] - 1),
      row: kind === "encoder" && state.kind === "encoder" ? state.row : state.step });
  }
  function sharpness(kind, layer, head) {
    var numbers = prompt.numbers[kind], rows = range(numbers.shape[2]);
    return rows.reduce(function (sum, row) {
      return sum + Math.max.apply(null, range(numbers.shape[3]).map(function (key) { return numbers.at(layer, head, row, key); }));
    }, 0) / rows.length;
  }

  function renderAttention() {
    var numbers = prompt.numbers[state.kind];
    find("attention-title").textContent = current() + " on prompt " + prompt.name;
    find("queries-title").textContent = state.kind === "encoder" ? "Source tokens, which read" : "Target tokens, which read; below each the token predicted there";
    find("keys-title").textContent = state.kind === "decoder" ? "Target tokens, which are read" : "Source tokens, which are read";
    if (!numbers) { find("reading").textContent = "This prompt is too long for its patterns."; return; }
    strip("queries", queries(), function (row) { return row === state.row; }, function (row) { change({ row: row, word: queries()[row] }); },
      function (row) { shade(row); }, state.kind === "encoder" ? null : prompt.labels);
    strip("keys", keys(), function (key) { return keys()[key] === state.word; }, function (key) { change({ word: keys()[key] }); }, shadeFrom, null);
    shade(state.row);
  }
  function strip(where, tokens, pressed, choose, point, below) {
    var place = find(where), had = place.contains(document.activeElement) ? Array.from(place.children).indexOf(document.activeElement) : -1;
    place.replaceChildren.apply(place, tokens.map(function (token, at) {
      var button = make("button", [make("bdi", token)], { type: "button", "aria-pressed": pressed(at), "data-place": at });
      button.append(make("small", below ? "\u2192 " + below[at] : "\u00a0"));
      button.addEventListener("click", function () { choose(at); });
      button.addEventListener("pointerenter", function () { point(at); });
      button.addEventListener("pointerleave", function () { shade(state.row); });
      button.addEventListener("focus", function () { point(at); });
      button.addEventListener("blur", function () { shade(state.row); });
      button.addEventListener("keydown", function (event) {
        var to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tokens.length - 1 }[event.key];
        if (to !== undefined && place.children[to]) { event.preventDefault(); place.children[to].focus(); }
      });
      return button;
    }));
    if (had >= 0 && place.children[had]) { place.children[had].focus(); }
  }
  /* A row: how much it reads from each key. */
  function shade(row) {
    var best = 0;
    Array.from(find("keys").children).forEach(function (button, key) {
      var value = weight(row, key);
      if (value > weight(row, best)) { best = key; }
      paint(button, index.hues.blue, value);
      button.querySelector("small").textContent = fixed(value);
    });
    Array.from(find("queries").children).forEach(function (button, at) {
      paint(button, index.hues.blue, 0);
      button.querySelector("small").textContent = state.kind === "encoder" ? "\u00a0" : "\u2192 " + prompt.labels[at];
    });
    var predicts = state.kind === "encoder" ? "" : ", which predicts " + prompt.labels[row] + ",";
    find("reading").textContent = "Row " + row + ", " + queries()[row] + predicts + " reads most from " + keys()[best] + ": " + fixed(weight(row, best)) + ".";
  }
  /* A key: how much each row reads from it. */
  function shadeFrom(key) {
    var best = 0;
    Array.from(find("queries").children).forEach(function (button, row) {
      var value = weight(row, key);
      if (value > weight(best, key)) { best = row; }
      paint(button, index.hues.orange, value);
      button.querySelector("small").textContent = fixed(value);
    });
    find("reading").textContent = keys()[key] + " is read most by row " + best + ", " + queries()[best] + ": " + fixed(weight(best, key)) + ".";
  }

  function renderPattern() {
    var drawn = prompt.numbers[state.kind] ?
      drawing.pattern(queries(), keys(), weight, index.hues.blue, { "aria-hidden": "true" }, state.row) : make("p", "Left out: this prompt is too long.");
    find("pattern").replaceChildren(drawn);
  }

  function renderCard() {
    var note = index.heads[current()], numbers = prompt.numbers[state.kind], lines = [];
    find("card-title").textContent = "Head " + current();
    if (numbers) { lines.push(["mean of each row's largest weight on this prompt", fixed(sharpness(state.kind, state.layer, state.head))]); }
    if (note) { lines = [["role", note.role]].concat(note.lines, lines); }
    var list = make("dl");
    lines.forEach(function (line) { list.append(make("dt", line[0]), make("dd", line[1])); });
    find("card").replaceChildren(list);
    if (note && note.address) { find("card").append(make("p", make("a", "Its card", { href: note.address }))); }
  }

  function bars(entries) {
    var most = Math.max.apply(null, [1e-9].concat(entries.map(function (entry) { return Math.abs(entry.value); })));
    var negative = entries.some(function (entry) { return entry.value < 0; }), list = make("dl", [], { "class": "bars" });
    entries.forEach(function (entry) {
      var fill = make("i"), width = (negative ? 50 : 100) * Math.abs(entry.value) / most;
      fill.style.width = width + "%";
      fill.style.left = (negative ? (entry.value < 0 ? 50 - width : 50) : 0) + "%";
      fill.style.background = entry.value < 0 ? index.hues.orange : (entry.color || index.hues.purple);
      list.append(make("dt", entry.link ? make("a", entry.label, { href: entry.link }) : make("bdi", entry.label), entry.own ? { "class": "own" } : {}),
        make("dd", fill, { "class": "bar", "aria-hidden": "true" }), make("dd", fixed(entry.value), { "class": "number" }));
    });
    return list;
  }
  function versus() { return prompt.labels[state.step] + " rather than " + prompt.foils[state.step]; }
  function component() { return prompt.numbers.components.at(state.step, index.components.indexOf(current())); }

  function renderWrites() {
    var place = find("writes"), memory = prompt.numbers.memory;
    var added = { cross: prompt.numbers.sources, decoder: prompt.numbers.own }[state.kind];
    find("writes-title").textContent = "What " + current() + " writes into " + versus();
    if (state.kind === "encoder") {
      var at = index.encoderComponents.indexOf(current());
      if (!memory || at < 0) { place.replaceChildren(make("p", "Not in this page: the prompt is too long.")); return; }
      tokens(prompt.source, "Logits that it adds through all cross-attention heads, by source token: ", function (key) { return memory.at(state.step, key, at); });
    } else if (added) {
      var read = state.kind === "cross" ? prompt.source : prompt.target.slice(0, state.step + 1);
      tokens(read, "Logits that it adds, by " + (state.kind === "cross" ? "source" : "target") + " token: ", function (key) { return added.at(state.layer, state.head, state.step, key); });
    } else if (prompt.numbers.components && index.components.indexOf(current()) >= 0) {
      place.replaceChildren(make("p", "It adds " + fixed(component()) + " logits in all."));
    } else { place.replaceChildren(make("p", "Not in this page: the prompt is too long.")); }
    function tokens(read, words, value) {
      var values = read.map(function (_, key) { return value(key); });
      var total = values.reduce(function (sum, one) { return sum + one; }, 0);
      place.replaceChildren(make("p", words + fixed(total) + " in all."),
        bars(read.map(function (token, key) { return { label: token, value: values[key] }; })));
    }
  }

  function renderComponents() {
    var place = find("components"), numbers = prompt.numbers.components;
    find("components-title").textContent = "Who writes it: a lead of " + fixed(prompt.lead[state.step]) + " logits";
    if (!numbers) { place.replaceChildren(make("p", "Not in this page: the prompt is too long.")); return; }
    var entries = index.components.map(function (label, at) {
      var match = /^([DX]L)(\d+)H(\d+)$/.exec(label);
      return { label: label, value: numbers.at(state.step, at), own: label === current(),
        link: match && address({ kind: KINDS[match[1]], layer: placed(KINDS[match[1]], Number(match[2])), head: Number(match[3]), row: state.step }) };
    });
    entries.sort(function (one, other) { return Math.abs(other.value) - Math.abs(one.value); });
    var own = entries.findIndex(function (entry) { return entry.own; });
    var top = entries.slice(0, COMPONENTS_SHOWN);
    if (own >= COMPONENTS_SHOWN) { top.push(entries[own]); }
    place.replaceChildren(make("p", "The components that add most to " + versus() + ", of " + entries.length + "."), bars(top));
  }

  function renderLens() {
    var body = make("tbody"), row = prompt.lens[state.step], label = prompt.labels[state.step];
    row.forEach(function (said, depth) {
      var line = make("tr", make("th", index.depths[depth], { scope: "row" }));
      said.forEach(function (one) {
        line.append(make("td", [make("bdi", one[0]), " ", make("span", fixed(one[1]), { "class": "share" })], one[0] === label ? { "class": "label" } : {}));
      });
      body.append(line);
    });
    var heads = ["after"].concat(row[0].map(function (_, at) { return (at + 1) + "."; })).map(function (text) { return make("th", text, { scope: "col" }); });
    find("lens").replaceChildren(
      make("p", "Step " + state.step + ": the likeliest tokens by the logit lens; the last row is what the model says. Bold: the predicted token."),
      make("table", [make("thead", make("tr", heads)), body], { "aria-label": "Likeliest tokens by depth" }));
  }

  function renderNeighbors() {
    var word = state.word || label(), found = index.neighbors[word], place = find("neighbors");
    function label() { return state.kind === "encoder" ? prompt.source[state.row] : prompt.labels[state.step]; }
    find("neighbors-title").textContent = "Neighbors of " + word;
    if (!found) { place.replaceChildren(make("p", "None in this page; choose another token above.")); return; }
    place.replaceChildren(make("p", "Nearest tokens in the input embedding, by cosine."),
      bars(found.map(function (one) { return { label: one[0], value: one[1], color: index.hues.blue }; })));
  }

  document.addEventListener("DOMContentLoaded", function () {
    pieces = Array.from(document.querySelectorAll(".explorer-prompt"));
    drawing.inflate(find("explorer-index")).then(function (buffer) {
      index = JSON.parse(new TextDecoder().decode(buffer));
      find("choice-prompt").replaceChildren.apply(find("choice-prompt"), index.titles.map(function (title, at) {
        return make("option", (at + 1) + ": " + title, { value: at });
      }));
      var first = Object.keys(index.heads).find(function (own) { return own[0] === "X" && index.heads[own].mark === "certain"; })
        || Object.keys(index.heads).find(function (own) { return own[0] === "X" && index.heads[own].mark === "tendency"; });
      readAddress(location.hash || index.start || "#" + (first || ""));
      find("choice-prompt").addEventListener("change", function (event) { change({ prompt: Number(event.target.value), word: "" }); });
      find("choice-step").addEventListener("change", function (event) { change({ step: Number(event.target.value), word: "" }); });
      window.addEventListener("hashchange", function () { readAddress(location.hash); render(); });
      return render();
    });
  });
}());
