// SPDX-License-Identifier: Apache-2.0
// The daemon under test: started without a device, on a free port.

import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";

const PATIENCE_MS = 15000;

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function freePort() {
	return new Promise((resolve, reject) => {
		const s = createServer();
		s.on("error", reject);
		s.listen(0, "127.0.0.1", () => {
			const { port } = s.address();
			s.close(() => resolve(port));
		});
	});
}

export class Daemon {
	constructor(program, temp) {
		this.program = program;
		this.temp = temp;
		this.log = "";
	}

	async start() {
		this.port ??= await freePort();
		this.url = `http://127.0.0.1:${this.port}`;
		const store = `${this.temp}/store`;
		mkdirSync(store, { recursive: true });
		this.child = spawn(this.program, ["--no-device", "--store", store,
			"--http", `127.0.0.1:${this.port}`, "--socket", `${this.temp}/socket`],
		{ stdio: ["ignore", "pipe", "pipe"] });
		for (const stream of [this.child.stdout, this.child.stderr])
			stream.on("data", (d) => { this.log += d; });
		this.ended = new Promise((done) => this.child.on("exit", done));
		for (const until = Date.now() + PATIENCE_MS; ;) {
			try {
				if ((await fetch(`${this.url}/api/v1/status`)).ok)
					return;
			} catch {
				/* not yet */
			}
			if (this.child.exitCode !== null || Date.now() > until)
				throw new Error(`the daemon does not start:\n${this.log}`);
			await sleep(50);
		}
	}

	async stop() {
		if (!this.child || this.child.exitCode !== null)
			return;
		this.child.kill("SIGTERM");
		await this.ended;
	}

	/** from, until: unix seconds; lines: folded stacks. */
	async ingest(name, from, until, lines) {
		const params = new URLSearchParams({ name, from, until, format: "folded" });
		const answer = await fetch(`${this.url}/ingest?${params}`, { method: "POST", body: `${lines.join("\n")}\n` });
		if (!answer.ok)
			throw new Error(`ingest: ${answer.status} ${await answer.text()}`);
	}
}
