// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tracee.h"

void tracee_stopped(struct tracee *t)
{
	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &t->regs)) {
		perror("PTRACE_GETREGS");
		exit(2);
	}
	t->window_bytes = 0;
}

static size_t read_memory(pid_t pid, uint64_t at, void *to, size_t bytes)
{
	struct iovec here = { to, bytes };
	struct iovec there = { (void *)(uintptr_t)at, bytes };
	ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

	return n < 0 ? 0 : (size_t)n;
}

bool tracee_read(struct tracee *t, uint64_t at, void *to, size_t bytes)
{
	uint64_t near = (t->regs.rsp - 256) & ~255ULL;

	if (at - near < sizeof(t->window)) {
		if (!t->window_bytes) {
			t->window_at = near;
			t->window_bytes = read_memory(t->pid, near, t->window,
						      sizeof(t->window));
		}
		if (at - near + bytes <= t->window_bytes) {
			memcpy(to, t->window + (at - near), bytes);
			return true;
		}
	}
	return read_memory(t->pid, at, to, bytes) == bytes;
}

static void read_maps(struct tracee *t)
{
	char path[64], line[1024];
	size_t room = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", t->pid);
	f = fopen(path, "re");
	if (!f) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), f)) {
		struct mapping m = { 0 };
		unsigned long start, end, offset, inode;
		char perms[8];
		int name = 0;

		if (sscanf(line, "%lx-%lx %7s %lx %*s %lu %n", &start, &end, perms,
			   &offset, &inode, &name) < 5)
			continue;
		line[strcspn(line, "\n")] = '\0';
		m.start = start;
		m.end = end;
		m.offset = offset;
		m.inode = inode;
		m.exec = perms[2] == 'x';
		snprintf(m.path, sizeof(m.path), "%.255s", name ? line + name : "");
		m.anonymous = m.path[0] != '/';
		if (t->nr_maps == room) {
			room = room ? 2 * room : 64;
			t->maps = realloc(t->maps, room * sizeof(m));
			if (!t->maps)
				abort();
		}
		t->maps[t->nr_maps++] = m;
	}
	fclose(f);
}

const struct mapping *tracee_mapping(struct tracee *t, uint64_t at)
{
	if (!t->maps)
		read_maps(t);
	for (size_t i = 0; i < t->nr_maps; i++)
		if (at - t->maps[i].start < t->maps[i].end - t->maps[i].start)
			return &t->maps[i];
	return NULL;
}

void tracee_remapped(struct tracee *t)
{
	free(t->maps);
	t->maps = NULL;
	t->nr_maps = 0;
}

bool tracee_register(const struct tracee *t, unsigned int reg, uint64_t *value)
{
	const struct user_regs_struct *r = &t->regs;
	const unsigned long long regs[] = {
		r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
		r->rip,
	};

	if (reg >= sizeof(regs) / sizeof(regs[0]))
		return false;
	*value = regs[reg];
	return true;
}

uint64_t tracee_aux(const struct tracee *t, uint64_t type)
{
	uint64_t pair[2] = { 0, 0 };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/auxv", t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (read(fd, pair, sizeof(pair)) == sizeof(pair) && pair[0] != type &&
	       pair[0])
		;
	close(fd);
	return pair[0] == type ? pair[1] : 0;
}

void tracee_release(struct tracee *t)
{
	tracee_remapped(t);
}

enum kind instruction_kind(const uint8_t *code, size_t bytes)
{
	size_t i = 0;

	while (i + 2 < bytes) {
		uint8_t b = code[i];

		/* Prefixes, REX among them. */
		if (b == 0x66 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x3e ||
		    b == 0x26 || b == 0x36 || b == 0x64 || b == 0x65 || b == 0x67 ||
		    (b & 0xf0) == 0x40) {
			i++;
			continue;
		}
		if (b == 0xe8 || (b == 0xff && (code[i + 1] & 0x38) == 0x10))
			return KIND_CALL;
		if (b == 0xc3 || b == 0xc2)
			return KIND_RET;
		if ((b & 0xf8) == 0x58)
			return KIND_POP;
		if (b == 0x0f && code[i + 1] == 0x05)
			return KIND_SYSCALL;
		break;
	}
	return KIND_OTHER;
}
