// Sends an answer again that could not be saved.
"use strict";

const form = document.querySelector("form[data-retry]");
setTimeout(() => form.submit(), 10_000);
