// SPDX-License-Identifier: Apache-2.0
#include "symbol/procmaps.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAPS_BYTES_MAX (64u << 20)

/* The kernel writes newline, tab, space-like and backslash as \ooo. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
					(s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* One line without its newline. 1: taken, 0: not executable. */
static int parse_line(const char *line, size_t len, struct mapping *m)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	char head[128], perms[5];
	size_t head_len = len < sizeof(head) - 1 ? len : sizeof(head) - 1;
	size_t path_len;
	int at = -1;

	*m = (struct mapping){ 0 };
	memcpy(head, line, head_len);
	head[head_len] = '\0';
	if (sscanf(head, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %" SCNx32 ":%" SCNx32
			 " %" SCNu64 "%n",
		   &m->start, &m->end, perms, &m->offset, &m->dev_major,
		   &m->dev_minor, &m->inode, &at) != 7 ||
	    at < 0 || m->start >= m->end || strlen(perms) != 4)
		return -EBADMSG;
	if (perms[2] != 'x')
		return 0;
	while ((size_t)at < len && line[at] == ' ')
		at++;
	path_len = len - (size_t)at;
	m->path = strndup(line + at, path_len);
	if (!m->path)
		return -ENOMEM;
	if (path_len >= tail && !strcmp(m->path + path_len - tail, deleted)) {
		m->path[path_len - tail] = '\0';
		m->deleted = true;
	}
	unescape(m->path);
	return 1;
}

int procmaps_parse(struct procmaps *out, const char *text, size_t len)
{
	const char *end = text + len;
	struct procmaps maps = { 0 };
	size_t cap = 0;
	int r = 0;

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t line_len = (size_t)((eol ? eol : end) - text);
		struct mapping m;

		r = parse_line(text, line_len, &m);
		text += line_len + 1;
		if (r < 0)
			goto err;
		if (!r)
			continue;
		/* The kernel lists them in order: what is not, is not maps. */
		if (maps.nr && maps.v[maps.nr - 1].end > m.start) {
			free(m.path);
			r = -EBADMSG;
			goto err;
		}
		if (maps.nr == cap) {
			size_t want = cap ? cap * 2 : 16;
			struct mapping *v = realloc(maps.v, want * sizeof(*v));

			if (!v) {
				free(m.path);
				r = -ENOMEM;
				goto err;
			}
			maps.v = v;
			cap = want;
		}
		maps.v[maps.nr++] = m;
	}
	*out = maps;
	return 0;

err:
	procmaps_release(&maps);
	return r;
}

int procmaps_read(struct procmaps *out, int proc_fd, uint32_t pid)
{
	cleanup(util_closep) int fd = -1;
	struct buf text = { 0 };
	char name[32];
	int r = 0;

	snprintf(name, sizeof(name), "%" PRIu32 "/maps", pid);
	fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	for (;;) {
		char *p = buf_reserve(&text, 16384);
		ssize_t n;

		if (!p) {
			r = text.err;
			break;
		}
		n = read(fd, p, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : 0;
			break;
		}
		text.len += (size_t)n;
		if (text.len > MAPS_BYTES_MAX) {
			r = -EFBIG;
			break;
		}
	}
	if (!r)
		r = procmaps_parse(out, text.data ? text.data : "", text.len);
	buf_release(&text);
	return r;
}

void procmaps_release(struct procmaps *m)
{
	for (size_t i = 0; i < m->nr; i++)
		free(m->v[i].path);
	free(m->v);
	*m = (struct procmaps){ 0 };
}

const struct mapping *procmaps_find(const struct procmaps *m, uint64_t addr)
{
	size_t lo = 0, hi = m->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr >= m->v[mid].end)
			lo = mid + 1;
		else if (addr < m->v[mid].start)
			hi = mid;
		else
			return &m->v[mid];
	}
	return NULL;
}
