/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A traced thread: its registers, its memory and what is mapped where, as of its
 * last stop.
 */
#ifndef TRACEE_H
#define TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct mapping {
	uint64_t start;
	uint64_t end;
	uint64_t offset;	/* in its file */
	uint64_t inode;
	bool exec;
	bool anonymous;
	char path[256];
};

struct tracee {
	pid_t pid;		/* of the thread */
	struct user_regs_struct regs;
	struct mapping *maps;
	size_t nr_maps;
	uint64_t window_at;	/* memory near SP that has been read already */
	size_t window_bytes;
	uint8_t window[16384];
};

/* Read the registers; what was known of its memory is not known any more. */
void tracee_stopped(struct tracee *t);
/* Memory, as it is now. False: not all of it is there. */
bool tracee_read(struct tracee *t, uint64_t at, void *to, size_t bytes);
/* The mapping that holds an address; NULL: none. The first call reads them. */
const struct mapping *tracee_mapping(struct tracee *t, uint64_t at);
/* Mappings have changed. */
void tracee_remapped(struct tracee *t);
/* A register by DWARF's number for x86-64. False: no such. */
bool tracee_register(const struct tracee *t, unsigned int reg, uint64_t *value);
/* A word of its auxiliary vector, 0: it has none. */
uint64_t tracee_aux(const struct tracee *t, uint64_t type);
void tracee_release(struct tracee *t);

/* What matters of an instruction. */
enum kind {
	KIND_OTHER,
	KIND_CALL,
	KIND_RET,
	KIND_POP,	/* to a register */
	KIND_SYSCALL,
};

enum kind instruction_kind(const uint8_t *code, size_t bytes);

#endif /* TRACEE_H */
