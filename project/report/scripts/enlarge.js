// Enlarge a picture; the arrow keys go through the pictures of its sample, in place.
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
const caption = dialog.querySelector("figcaption");
let series = [];
let place = 0;

function show(step) {
  place = (place + step + series.length) % series.length;
  large.src = series[place].src;
  large.alt = series[place].alt;
  large.className = series[place].className;
  caption.textContent = series[place].alt;
}

for (const button of document.querySelectorAll(".pictures button")) {
  button.addEventListener("click", () => {
    series = [...button.closest(".pictures").querySelectorAll("img")];
    place = series.indexOf(button.querySelector("img"));
    show(0);
    dialog.showModal();
  });
}
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") show(1);
  if (event.key === "ArrowLeft") show(-1);
});
large.addEventListener("click", () => show(1));
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
