// SPDX-License-Identifier: Apache-2.0
// Node at work for so many seconds: compiled code, the collector, its threads.
'use strict';
const crypto = require('crypto');
const zlib = require('zlib');

const end = Date.now() + 1000 * Number(process.argv[2]);

class Tree {
	constructor(depth) {
		this.kids = depth ? [new Tree(depth - 1), new Tree(depth - 1)] : [];
	}
	count() {
		return this.kids.reduce((sum, kid) => sum + kid.count(), 1);
	}
}

function words() {
	const count = new Map();
	let text = '';
	for (let i = 0; i < 1500; i++)
		text += `word${i * 7919 % 613} ${i * i} `;
	for (const m of text.matchAll(/(\w+?\d+) (\d*[13579])\b/g))
		count.set(m[1], (count.get(m[1]) || 0) + Number(m[2]));
	const order = [...count].sort((a, b) => a[1] - b[1] || a[0].localeCompare(b[0]));
	return JSON.parse(JSON.stringify(order)).length + text.length;
}

function round() {
	if (Date.now() > end)
		return;
	new Tree(10).count();
	words();
	crypto.createHash('sha256').update('x'.repeat(20000)).digest('hex');
	crypto.pbkdf2('a', 'b', 300, 32, 'sha512', () => {});
	zlib.gzip(Buffer.alloc(50000, 'abcde'), round);
}

round();
