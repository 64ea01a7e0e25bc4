"use strict";
// Asks how far the job is, once a second, and shows the whole page again when it has ended. Without scripts the page is
// loaded again every few seconds instead.
(function () {
  const box = document.getElementById("loader-progress");
  if (!box) {
    return;
  }
  const words = document.getElementById("loader-words");
  const label = document.getElementById("loader-label");
  const bar = box.querySelector("progress");
  let before = null;

  function show(standing) {
    const now = Date.now();
    let rate = "";
    if (before && standing.given > before.given) {
      rate = " · " + Math.round(1000 * (standing.given - before.given) / (now - before.time)).toLocaleString() + "/s";
    }
    if (!before || standing.given !== before.given) {
      before = { given: standing.given, time: now };
    }
    label.textContent = standing.label;
    if (standing.words && !standing.is_to_end) {
      words.textContent = standing.words + rate;
    }
    if (standing.percent !== null) {
      bar.value = standing.percent;
    }
  }

  function ask() {
    fetch(box.dataset.url, { headers: { Accept: "application/json" }, credentials: "same-origin" })
      .then(function (answer) {
        if (!answer.ok) {
          throw new Error(answer.statusText);
        }
        return answer.json();
      })
      .then(function (standing) {
        if (!standing.is_under_way) {
          window.location.reload();
          return;
        }
        show(standing);
        window.setTimeout(ask, 1000);
      })
      .catch(function () {
        window.setTimeout(ask, 5000);
      });
  }

  window.setTimeout(ask, 500);
})();
