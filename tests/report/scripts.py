"""What tests run inside a page."""

SHOWN = """() => {
  const canvas = document.querySelector(".stage canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, [...data]];
}"""
"""Height, width and the values of the difference."""

TO_THE_CORNER = """(width) => {
  document.querySelector("dialog").style.padding = 0;
  const place = { position: "fixed", inset: 0, margin: 0, borderRadius: 0, zIndex: 9 };
  Object.assign(document.querySelector(".stage").style, { ...place, width: `${width}px` });
}"""
"""Put the enlarged picture into the window's corner, a pixel of it on a pixel of the screen."""

CUT_LABELS = """() => [...document.querySelectorAll(".steps text")].filter((one) => {
  const { x, width } = one.getBBox();
  return x < 0 || x + width > one.ownerSVGElement.viewBox.baseVal.width;
}).map((one) => one.textContent)"""
"""Labels of charts that stand out of them, and so are cut off."""

LEAST_MARGIN = """(card) => {
  const outer = card.getBoundingClientRect();
  const margins = [...card.querySelectorAll("h3, p, svg, figcaption")].map((one) => {
    const { left, right } = one.getBoundingClientRect();
    return Math.min(left - outer.left, outer.right - right);
  });
  return Math.min(...margins);
}"""
"""How near to a card's left and right edge its content comes."""

POOR_CONTRASTS = """() => {
  const channels = (text) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((k) => top[3] * top[k] + (1 - top[3]) * below[k]);
  const ground = (one) => {
    if (!one) return channels("Canvas");
    const own = channels(getComputedStyle(one).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(one.parentElement));
  };
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one) => {
    let opacity = 1;
    for (let up = one; up; up = up.parentElement) opacity *= getComputedStyle(up).opacity;
    const below = ground(one);
    const [r, g, b, a] = channels(getComputedStyle(one).color);
    const [x, y] = [light(over([r, g, b, a * opacity], below)), light(below)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    const told = one.checkVisibility() && !one.closest("script, style, svg, :disabled");
    if (text && told && contrast(one) < 4.5) poor.add(`${contrast(one).toFixed(2)} ${text}`);
  }
  return [...poor];
}"""
"""Text that stands out from its ground by less than WCAG's 4.5."""
