// The dialog in front of what changes something: what will be done, what will be lost, and a way out that comes first.

import { children, h } from "../dom.js";
import { button } from "./parts.js";

const dialog = () => document.getElementById("ask");

/** Show it. `act` is called when the person agrees, with the reason that was given; what it throws is shown in the
 * dialog. `losses`: sentences; with any, a box must be ticked first. `why`: ask for a reason. */
export function ask({ title, content = [], losses = [], why = false, word, kind = "main", act }) {
  const box = dialog();
  let reason = "";
  let agreed = losses.length === 0;
  let problem = null;
  const close = () => box.close();
  const draw = () => children(box, [
    h("h2", { id: "ask-title" }, title),
    ...[content].flat(),
    losses.length
      ? h("div", { class: "loss" },
        h("p", {}, h("b", {}, "This will be lost:")),
        h("ul", { key: "losses" }, losses.map((loss) => h("li", {}, loss))),
        h("label", {}, h("input", { type: "checkbox", id: "ask-loss", onclick: ({ currentTarget }) => { agreed = currentTarget.checked; draw(); } }),
          " I have read this, and accept it."))
      : null,
    why ? h("label", { key: "why" }, "Reason, for the audit log and whoever watches", h("input", { type: "text", maxlength: 1000, oninput: ({ currentTarget }) => { reason = currentTarget.value.trim(); } })) : null,
    problem ? h("div", { class: "loss", role: "alert" }, h("p", {}, h("b", {}, problem.message)), problem.hint ? h("p", {}, problem.hint) : null) : null,
    h("p", { class: "buttons" },
      button("Cancel", close),
      button(word, async () => {
        try {
          await act(reason || null);
          close();
        } catch (error) {
          problem = error;
          draw();
        }
      }, { kind, disabled: !agreed })),
  ].filter(Boolean));
  children(box, []);
  draw();
  box.showModal();
}

/** A dialog that only tells something. */
export function tell(title, ...content) {
  children(dialog(), [h("h2", { id: "ask-title" }, title), ...content, h("p", { class: "buttons" }, button("Close", () => dialog().close(), { kind: "main" }))]);
  dialog().showModal();
}
