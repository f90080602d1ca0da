// Counts down, zooms all pictures together, and answers by keys. Without it the page still works.
"use strict";

const form = document.querySelector("form.judging");
const panels = form.querySelector(".panels");
form.classList.add("scripted");

// The clock: the server keeps the time, this only shows it, and sends what is there at its end.
const shown = form.querySelector("[data-seconds]");
const warning = form.querySelector("[data-warning]");
const end = performance.now() + 1000 * Number(shown.dataset.seconds);
const tick = () => {
  const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
  shown.textContent = left;
  shown.parentElement.classList.toggle("short", left <= 10);
  // A page in the background ticks seldom: the tenth second may be skipped.
  if (left <= 10 && !warning.textContent) warning.textContent = "Ten seconds left.";
  if (left === 0) {
    send();
  }
};
const ticking = setInterval(tick, 250);

// Sends the answer once, and keeps it here until the server has it: a server that is away for a
// moment, or cannot save, costs nobody an answer.
const waiting = form.querySelector("[data-waiting]");
let sending = false;
const send = async (button) => {
  if (sending) return;
  sending = true;
  clearInterval(ticking);
  const answer = new URLSearchParams(new FormData(form, button));
  for (const one of form.querySelectorAll("button, input")) one.disabled = true;
  for (;;) {
    // The next page must not be asked for here: its clock would run.
    const reply = await fetch("/page", { method: "POST", body: answer, redirect: "manual" }).catch(() => null);
    if (reply && reply.status !== 503) {
      if (reply.type === "opaqueredirect") location.assign(answer.has("pause") ? "/" : "/page");
      else location.assign("/page"); // refused: the server says why
      return;
    }
    waiting.hidden = false;
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
};
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.submitter);
});

// The zoom: one factor and one place for all pictures.
const range = form.querySelector("#zoom");
let place = [0.5, 0.5];
const look = (x, y) => {
  place = [x, y].map((value) => Math.min(1, Math.max(0, value)));
  panels.style.setProperty("--x", `${100 * place[0]}%`);
  panels.style.setProperty("--y", `${100 * place[1]}%`);
};
const lookAt = (view, event) => {
  const box = view.getBoundingClientRect();
  look((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
};
const zoom = (factor) => {
  range.value = factor;
  panels.style.setProperty("--zoom", range.value);
  panels.classList.toggle("zoomed", range.value > 1);
  range.nextElementSibling.textContent = `×${range.value}`;
};
form.querySelector(".zoom").hidden = false;
range.addEventListener("input", () => zoom(range.value));
for (const view of panels.querySelectorAll(".view")) {
  view.addEventListener("pointermove", (event) => lookAt(view, event));
  view.addEventListener("click", (event) => {
    event.preventDefault();
    if (event.detail > 0) lookAt(view, event); // 0: by key
    zoom(range.value > 1 ? 1 : 3);
  });
}

// The keys: + and − zoom, arrows on a picture move, digits answer, Enter goes on.
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const answer = (digit) => {
  const options = [...form.querySelectorAll(`[data-digit="${digit}"] input`)];
  const next = options.find((option) => !option.checked);
  if (next) next.checked = true;
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onView = event.target.closest(".view");
  if (event.key === "+" || event.key === "=") zoom(Number(range.value) + 0.5);
  else if (event.key === "-") zoom(Number(range.value) - 0.5);
  else if (event.key === "Escape") zoom(1);
  else if (event.key in STEPS && onView) {
    event.preventDefault();
    const [right, down] = STEPS[event.key];
    look(place[0] + 0.1 * right, place[1] + 0.1 * down);
  } else if (/^[1-9]$/.test(event.key)) answer(event.key);
  else if (event.key === "Enter" && event.target === document.body) form.requestSubmit();
});
