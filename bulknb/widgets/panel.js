// What a panel needs of the page beside its widgets: it says news to screen readers, keeps the
// notebook's shortcuts away from its buttons, takes Escape for "keep", and names its buttons after
// what they act on. Text of the server becomes a text node or an attribute, never HTML.

const UNSEEN =
  "position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%)";

function render({ model, el }) {
  const region = document.createElement("div");
  region.setAttribute("role", "status");
  region.setAttribute("aria-live", "polite");
  region.style.cssText = UNSEEN;
  el.tabIndex = -1; // the keyboard stays in the panel while its buttons wait for the server
  el.style.outline = "none";
  el.replaceChildren(region);

  let panel = null;
  let frame = 0;
  const name = () => {
    for (const [kind, label] of Object.entries(model.get("names")))
      for (const button of panel.querySelectorAll(`.${kind}`))
        if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
  };
  const late = new MutationObserver(name); // buttons are drawn when their views are ready
  const find = () => {
    panel = el.closest(".bulknb-panel");
    if (!panel) return void (frame = requestAnimationFrame(find));
    late.observe(panel, { childList: true, subtree: true });
    name();
  };
  find();

  // Jupyter reads the attribute of the element that has the focus: "x" would delete the cell.
  const guard = (event) => {
    if (!panel?.contains(event.target)) return;
    event.target.toggleAttribute(
      "data-lm-suppress-shortcuts",
      !(event.ctrlKey || event.metaKey || event.altKey),
    );
    if (event.key !== "Escape") return;
    const keep = [...panel.querySelectorAll(".bulknb-keep")].find((it) => it.offsetParent);
    keep?.click();
  };
  const say = () => (region.textContent = model.get("status"));
  window.addEventListener("keydown", guard, true);
  model.on("change:status", say);
  model.on("change:names", name);
  return () => {
    cancelAnimationFrame(frame);
    late.disconnect();
    window.removeEventListener("keydown", guard, true);
    model.off("change:status", say);
    model.off("change:names", name);
  };
}

export default { render };
