// SPDX-License-Identifier: Apache-2.0
// Wires the page: the URL is the state, the state decides what is asked from
// the daemon and what is drawn.

import { applyTheme } from "./theme";
import { Page } from "./page";

// Before the body is parsed: no flash of the other scheme.
applyTheme();
document.addEventListener("DOMContentLoaded", () => {
	const page = new Page();
	Object.defineProperty(window, "kstrata", { value: page.inspector() });
	void page.start();
});
