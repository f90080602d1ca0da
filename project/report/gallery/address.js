// The page's address remembers what is chosen: #gallery?attack=…&sort=…&page=…&image=…
const AT_FIRST = { victim: "some", verdict: "", label: "", text: "", sort: "index", order: "up" };

function remember() {
  const kept = Object.entries(chosen()).filter(([name, value]) => value !== AT_FIRST[name]);
  if (page) kept.push(["page", page + 1]);
  if (viewer.open) kept.push(["image", catalogue.about.images.index[set.images[found[open]]]]);
  history.replaceState(null, "", `#gallery?${new URLSearchParams(kept)}`);
}

async function recall() {
  if (!location.hash.startsWith("#gallery?")) return;
  const asked = new URLSearchParams(location.hash.slice("#gallery?".length));
  const put = (name) => {
    const control = form.elements[name];
    const value = asked.get(name) ?? AT_FIRST[name];
    const offered = !control.options || [...control.options].some((option) => option.value === value);
    if (value !== undefined && offered) control.value = value;
  };
  put("attack");
  offerChoices();
  put("source");
  await change();
  Object.keys(AT_FIRST).forEach(put);
  filter(Number(asked.get("page") ?? 1) - 1);
  document.querySelector("#gallery").scrollIntoView();
  if (asked.has("image")) reveal(catalogue.about.images.index.indexOf(Number(asked.get("image"))));
}
