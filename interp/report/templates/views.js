/* BertViz asks an AMD loader for its libraries. They are in the page already, so this loader hands them over at once,
   or, inside a closed <details>, when the reader first opens it: a page of many views opens as fast as an empty one. */
(function () {
  "use strict";
  var libraries = { d3: window.d3, jquery: window.jQuery };
  window.requirejs = function (names, draw) {
    var enclosing = document.currentScript.closest("details");
    function start() {
      draw.apply(null, names.map(function (name) { return libraries[name]; }));
    }
    if (enclosing && !enclosing.open) {
      enclosing.addEventListener("toggle", start, { once: true });
    } else {
      start();
    }
  };
})();
