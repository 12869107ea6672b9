/* What the scripts of the pages to explore share. Texts reach the page as text and never as markup; colors are worked out as the
   report's are. */
var drawing = (function () {
  "use strict";
  var MOST_CELLS = 3600, CELL = 22, PALE = [244, 246, 247];

  function find(name) { return document.getElementById(name); }
  function make(tag, content, attributes) {
    var made = document.createElement(tag);
    [].concat(content === undefined || content === null ? [] : content).forEach(function (part) { made.append(part); });
    Object.keys(attributes || {}).forEach(function (name) { made.setAttribute(name, attributes[name]); });
    return made;
  }
  function draw(tag, attributes, text) {
    var made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.keys(attributes).forEach(function (name) { made.setAttribute(name, attributes[name]); });
    if (text !== undefined) { made.textContent = text; }
    return made;
  }
  function fixed(value) { return value.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "\u2212"); }
  function range(count) { return Array.from({ length: count }, function (_, place) { return place; }); }

  /* The way from almost white to the full hue, and the ink that reads on it, as in the report's palette. */
  function tint(color, strength) {
    var share = 0.08 + 0.92 * Math.min(Math.max(strength, 0), 1);
    return [1, 3, 5].map(function (at, place) {
      return Math.round(PALE[place] + share * (parseInt(color.slice(at, at + 2), 16) - PALE[place]));
    });
  }
  function paint(element, color, strength) {
    var mixed = strength < 0.01 ? PALE : tint(color, strength);
    var light = mixed.map(function (part) { part /= 255; return part <= 0.04045 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4); });
    element.style.background = "rgb(" + mixed.join() + ")";
    element.style.color = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] > 0.179 ? "#000" : "#fff";
  }

  function inflate(element) {
    var text = atob(element.textContent.trim()), bytes = new Uint8Array(text.length), at;
    for (at = 0; at < text.length; at += 1) { bytes[at] = text.charCodeAt(at); }
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  }
  /* A head as JSON behind its length, then whole numbers of one or two bytes: head.numbers[name].at(place, place, ...). */
  function unpack(buffer) {
    var length = new DataView(buffer).getUint32(0, true), at = 4 + length;
    var head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    head.numbers = {};
    head.arrays.forEach(function (array) {
      var size = array.shape.reduce(function (product, side) { return product * side; }, 1);
      var values = array.bytes === 2 ? new Int16Array(buffer, at, size) : new Uint8Array(buffer, at, size);
      head.numbers[array.name] = { shape: array.shape, at: function () {
        var place = 0;
        for (var axis = 0; axis < array.shape.length; axis += 1) { place = place * array.shape[axis] + arguments[axis]; }
        return values[place] * array.scale;
      } };
      at += size * array.bytes;
    });
    return head;
  }

  /* Heads of one attention, a row a layer; `cell` gives what stands for a head, by the row and the head. */
  function atlas(caption, layers, heads, cell) {
    var body = make("tbody", layers.map(function (layer, row) {
      return make("tr", [make("th", String(layer), { scope: "row" })].concat(range(heads).map(function (head) { return make("td", cell(row, head)); })));
    }));
    var names = range(heads).map(function (head) { return make("th", String(head), { scope: "col" }); });
    return make("div", make("table", [make("caption", caption), make("thead", make("tr", [make("td", "")].concat(names))), body]), { "class": "wide" });
  }
  /* Layers and heads to go by an arrow key; nothing for other keys. */
  function arrow(event) { return { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key]; }

  /* A pattern, rows that read and columns that are read; `weight` gives null where nothing is to be drawn. */
  function pattern(rows, columns, weight, color, attributes, chosen) {
    if (rows.length * columns.length > MOST_CELLS) { return make("p", "Not drawn for more than " + MOST_CELLS + " cells."); }
    function longest(tokens) { return 8 + 7 * Math.max.apply(null, tokens.map(function (token) { return token.length; })); }
    var left = longest(rows), top = longest(columns), width = left + CELL * columns.length + 2, height = top + CELL * rows.length + 2;
    var svg = draw("svg", Object.assign({ viewBox: "0 0 " + width + " " + height, width: width, height: height, "font-size": 12 }, attributes));
    columns.forEach(function (token, column) {
      svg.append(draw("text", { transform: "translate(" + (left + CELL * column + 15) + " " + (top - 4) + ") rotate(-90)" }, token));
    });
    rows.forEach(function (token, row) {
      svg.append(draw("text", { x: left - 5, y: top + CELL * row + 15, "text-anchor": "end", "font-weight": row === chosen ? 700 : 400 }, token));
      columns.forEach(function (other, column) {
        var value = weight(row, column);
        if (value === null) { return; }
        var box = draw("rect", { x: left + CELL * column, y: top + CELL * row, width: CELL - 1, height: CELL - 1,
          fill: "rgb(" + (value < 0.01 ? PALE : tint(color, value)).join() + ")" });
        box.append(draw("title", {}, token + " \u2192 " + other + ": " + fixed(value)));
        svg.append(box);
      });
    });
    if (chosen !== undefined) {
      svg.append(draw("rect", { x: left - 1, y: top + CELL * chosen - 1, width: CELL * columns.length + 1, height: CELL + 1, fill: "none", stroke: "#1b1f24", "stroke-width": 2 }));
    }
    return svg;
  }

  return { find: find, make: make, draw: draw, fixed: fixed, range: range, paint: paint, inflate: inflate, unpack: unpack,
    atlas: atlas, arrow: arrow, pattern: pattern };
}());
