// The way in: a token, exchanged for a cookie that no script can read.

import { logIn } from "../api.js";
import { h } from "../dom.js";
import { look, state } from "../state.js";
import { say } from "./parts.js";

let problem = "";

export function login(redraw) {
  const enter = async (event) => {
    event.preventDefault();
    const field = event.currentTarget.querySelector("input");
    try {
      state.who = await logIn(field.value.trim());
      problem = "";
      field.value = "";
      say(`Logged in as ${state.who.name}, ${state.who.role}.`);
      await look(true);
      document.getElementById("main").focus({ preventScroll: true });
    } catch (error) {
      problem = `${error.message} ${error.hint ?? ""}`;
      redraw();
    }
  };
  return h("form", { key: "login", class: "card login", onsubmit: enter, "aria-labelledby": "login-title" },
    h("h2", { id: "login-title" }, "Log in"),
    h("p", { class: "soft" }, "With a token made by ", h("code", {}, "bascule token create --role viewer"), ", or one of your identity provider."),
    h("label", { for: "token" }, "Token"),
    h("input", { id: "token", type: "password", autocomplete: "off", required: true, spellcheck: "false" }),
    problem ? h("p", { class: "words-bad", role: "alert" }, problem) : null,
    h("button", { class: "main", type: "submit" }, "Log in"));
}
