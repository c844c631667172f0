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

/* Some 500,000 mappings; the kernel allows 65,530 unless told otherwise. */
#define MAPS_BYTES_MAX (64u << 20)

/*
 * The kernel writes a newline as \012 and nothing else in another way, not even
 * the backslash: every other one is the path's own.
 */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (!strncmp(s, "\\012", 4)) {
			*out++ = '\n';
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* A number and the character end behind it (or the end of the line). */
static bool number(const char **p, const char *line_end, unsigned int base,
		   char end, uint64_t *v)
{
	const char *s = *p;

	for (*v = 0; s < line_end && *s != end; s++) {
		unsigned int digit = 16;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			digit = (unsigned int)(*s - 'a') + 10;
		if (digit >= base || *v > (UINT64_MAX - digit) / base)
			return false;
		*v = *v * base + digit;
	}
	if (s == *p || (s == line_end && end != '\n'))
		return false;
	*p = s == line_end ? s : s + 1;
	return true;
}

/* "start-end perms offset major:minor inode      path", without its newline. */
static int parse_line(const char *s, size_t len, struct mapping *m)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	const char *end = s + len, *inode_end;
	uint64_t major, minor;
	bool exec;
	size_t n;

	*m = (struct mapping){ 0 };
	if (!number(&s, end, 16, '-', &m->start) ||
	    !number(&s, end, 16, ' ', &m->end) || end - s < 5 || s[4] != ' ')
		return -EBADMSG;
	exec = s[2] == 'x';
	s += 5;
	if (!number(&s, end, 16, ' ', &m->offset) ||
	    !number(&s, end, 16, ':', &major) ||
	    !number(&s, end, 16, ' ', &minor))
		return -EBADMSG;
	inode_end = memchr(s, ' ', (size_t)(end - s));
	if (!number(&s, end, 10, inode_end ? ' ' : '\n', &m->inode) ||
	    m->start >= m->end || major > UINT32_MAX || minor > UINT32_MAX)
		return -EBADMSG;
	m->dev_major = (uint32_t)major;
	m->dev_minor = (uint32_t)minor;
	if (!exec)
		return 0;
	while (s < end && *s == ' ')
		s++;
	if (memchr(s, '\0', (size_t)(end - s)))
		return -EBADMSG;
	n = (size_t)(end - s);
	if (n >= tail && !memcmp(end - tail, deleted, tail)) {
		m->deleted = true;
		n -= tail;
	}
	m->path = strndup(s, n);
	if (!m->path)
		return -ENOMEM;
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
