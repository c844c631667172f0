/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rule of readelf's against one of ours.
 */
#ifndef KSTRATA_TESTS_ORACLE_JUDGE_H
#define KSTRATA_TESTS_ORACLE_JUDGE_H

#include "oracle_values.h"

enum kind {
	EQUAL,
	/* Known for what they are: the exceptions. */
	BAD_EXPRESSION,		/* BAD where readelf has an expression */
	BAD_OTHER,		/* BAD where it has none */
	LOST_FP,		/* the frame pointer is, to us */
	LOST_AUX,
	OVERLAP,		/* FDEs contradict each other; ours is as one of them */
	TRAMPOLINE,		/* it calls rt_sigreturn, whatever its FDE says */
	UNREADABLE,		/* by this oracle */
	/* Wrong. */
	MISSING,		/* no row of ours */
	WRONG_CFA,
	WRONG_RA,
	WRONG_FP,
	WRONG_AUX,
	WRONG_END,		/* only one of them says that there is no caller */
	NOT_FOUND,		/* the look-up does not find what the table says */
	COMPARED,
	/* Not compared. */
	BEYOND = COMPARED,	/* ours speaks of code that no FDE covers */
	PADDING,		/* the same, of fewer than 64 bytes between FDEs */
	NOT_CODE,		/* FDEs of what is not mapped executable */
	GO,			/* left to frame pointers, see cfi_report.go */
	KINDS
};

extern const char *const kind_names[KINDS];
bool kind_is_wrong(enum kind k);

/*
 * At the PCs of a range. have: NULL is no row; aux: kstrata_rows_table.aux. Rules are
 * known again by where they are, until the next judge_forget().
 */
enum kind judge(const struct oracle_rule *want, const struct kstrata_rule *have,
		uint16_t machine, uint8_t aux, uint64_t pc, uint64_t bytes);
void judge_forget(void);
/* "ours reg rsp+8 ra=c-8; readelf rsp+8 ra:c-8", to standard output. */
void judge_print(const struct kstrata_rule *have, const struct oracle_rule *want,
		 uint16_t machine);

#endif
