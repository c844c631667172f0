// SPDX-License-Identifier: Apache-2.0
// Light or dark: as the system says, until the button was used.

const KEY = "kstrata-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

function chosen(): string | null {
	try {
		return localStorage.getItem(KEY);
	} catch {
		return null;
	}
}

export function isDark(): boolean {
	return document.documentElement.dataset.theme === "dark";
}

export function applyTheme(): void {
	const dark = (chosen() ?? (system.matches ? "dark" : "light")) === "dark";
	document.documentElement.dataset.theme = dark ? "dark" : "light";
}

/** Choosing what the system says anyway is to follow the system again. */
export function toggleTheme(): void {
	const dark = !isDark();
	try {
		if (dark === system.matches)
			localStorage.removeItem(KEY);
		else
			localStorage.setItem(KEY, dark ? "dark" : "light");
	} catch {
		/* without storage it lasts as long as the page */
	}
	document.documentElement.dataset.theme = dark ? "dark" : "light";
}

export function onSystemTheme(changed: () => void): void {
	system.addEventListener("change", () => {
		applyTheme();
		changed();
	});
}
