/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-written assembly with hand-written call frame information. */

	.text

#define FUNCTION(name) \
	.globl name; .hidden name; .type name, %function; .p2align 4; name:
#define END(name) .size name, . - name

#if defined(__x86_64__)

#ifdef __CET__
#define LAND endbr64
#else
#define LAND
#endif

/* long asm_pushes(long (*f)(long), long x): pushes and pops, arguments too. */
FUNCTION(asm_pushes)
	.cfi_startproc
	LAND
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	push	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	xor	%ebp, %ebp
	mov	%rdi, %rbx
	mov	%rsi, %rdi
	push	$1
	.cfi_adjust_cfa_offset 8
	push	$2
	.cfi_adjust_cfa_offset 8
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	*%rbx
	add	$24, %rsp
	.cfi_adjust_cfa_offset -24
	pop	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
END(asm_pushes)

/* The CFA from %rbx, which is saved; the stack aligned to 128; %rbp clobbered. */
FUNCTION(asm_base)
	.cfi_startproc
	LAND
	mov	%rsp, %rax
	.cfi_def_cfa_register %rax
	push	%rbx
	.cfi_offset %rbx, -16
	mov	%rax, %rbx
	.cfi_def_cfa_register %rbx
	push	%rbp
	.cfi_offset %rbp, -24
	sub	$300, %rsp
	and	$-128, %rsp
	mov	$77, %ebp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	mov	-16(%rbx), %rbp
	.cfi_restore %rbp
	mov	%rbx, %rdx
	.cfi_def_cfa_register %rdx
	mov	-8(%rdx), %rbx
	.cfi_restore %rbx
	mov	%rdx, %rsp
	.cfi_def_cfa_register %rsp
	ret
	.cfi_endproc
END(asm_base)

/* As openssl has it: the old SP in a slot of the new frame. */
FUNCTION(asm_deref)
	.cfi_startproc
	LAND
	mov	%rsp, %rax
	.cfi_def_cfa_register %rax
	push	%rbx
	.cfi_offset %rbx, -16
	push	%rbp
	.cfi_offset %rbp, -24
	sub	$200, %rsp
	and	$-64, %rsp
	mov	%rax, 152(%rsp)
	/* DW_CFA_def_cfa_expression: *(%rsp + 152) + 8 */
	.cfi_escape 0x0f, 0x06, 0x77, 0x98, 0x01, 0x06, 0x23, 0x08
	mov	$78, %ebp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	call	*%rax
	mov	152(%rsp), %rsi
	.cfi_def_cfa %rsi, 8
	mov	-16(%rsi), %rbp
	.cfi_restore %rbp
	mov	-8(%rsi), %rbx
	.cfi_restore %rbx
	lea	(%rsi), %rsp
	.cfi_def_cfa_register %rsp
	ret
	.cfi_endproc
END(asm_deref)

/* Two ways out, states remembered. */
FUNCTION(asm_states)
	.cfi_startproc
	LAND
	push	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	mov	%rdi, %rax
	mov	%rsi, %rdi
	test	$1, %sil
	jnz	1f
	call	*%rax
	.cfi_remember_state
	pop	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	ret
	.cfi_restore_state
1:	call	*%rax
	pop	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	ret
	.cfi_endproc
END(asm_states)

FUNCTION(asm_trap_first)
	.cfi_startproc
	ud2
	mov	$3, %eax
	ret
	.cfi_endproc
END(asm_trap_first)

/* No information at all, no frame pointer kept, nothing changed. */
FUNCTION(asm_bare)
	LAND
	lea	1(%rdi), %rax
	add	%rax, %rax
	ret
END(asm_bare)

#elif defined(__aarch64__)

/* Signed return addresses, where the target has them. */
#define SIGN paciasp; .cfi_negate_ra_state
#define CHECK autiasp; .cfi_negate_ra_state

FUNCTION(asm_pushes)
	.cfi_startproc
	SIGN
	stp	x29, x30, [sp, -32]!
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	str	x19, [sp, 16]
	.cfi_rel_offset x19, 16
	mov	x29, xzr
	mov	x2, x0
	mov	x0, x1
	blr	x2
	ldr	x19, [sp, 16]
	.cfi_restore x19
	ldp	x29, x30, [sp], 32
	.cfi_adjust_cfa_offset -32
	.cfi_restore x29
	.cfi_restore x30
	CHECK
	ret
	.cfi_endproc
END(asm_pushes)

/* The CFA from x19; the stack aligned to 128; x29 clobbered. */
FUNCTION(asm_base)
	.cfi_startproc
	stp	x19, x30, [sp, -32]!
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x30, 8
	str	x29, [sp, 16]
	.cfi_rel_offset x29, 16
	mov	x19, sp
	.cfi_def_cfa_register x19
	sub	x3, x19, #304
	and	sp, x3, #-128
	mov	x29, #77
	mov	x2, x0
	mov	x0, x1
	blr	x2
	mov	sp, x19
	.cfi_def_cfa_register sp
	ldr	x29, [sp, 16]
	.cfi_restore x29
	ldp	x19, x30, [sp], 32
	.cfi_adjust_cfa_offset -32
	.cfi_restore x19
	.cfi_restore x30
	ret
	.cfi_endproc
END(asm_base)

/* The old SP in a slot of the new frame. */
FUNCTION(asm_deref)
	.cfi_startproc
	stp	x29, x30, [sp, -32]!
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x4, sp
	.cfi_def_cfa_register x4
	sub	x3, x4, #304
	and	sp, x3, #-128
	str	x4, [sp, 152]
	/* DW_CFA_def_cfa_expression: *(sp + 152) + 32 */
	.cfi_escape 0x0f, 0x06, 0x8f, 0x98, 0x01, 0x06, 0x23, 0x20
	mov	x2, x0
	mov	x0, x1
	blr	x2
	ldr	x4, [sp, 152]
	.cfi_def_cfa x4, 32
	mov	sp, x4
	.cfi_def_cfa_register sp
	ldp	x29, x30, [sp], 32
	.cfi_adjust_cfa_offset -32
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
END(asm_deref)

FUNCTION(asm_states)
	.cfi_startproc
	str	x30, [sp, -16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x30, 0
	mov	x2, x0
	mov	x0, x1
	tbnz	x1, 0, 1f
	blr	x2
	.cfi_remember_state
	ldr	x30, [sp], 16
	.cfi_adjust_cfa_offset -16
	.cfi_restore x30
	ret
	.cfi_restore_state
1:	blr	x2
	ldr	x30, [sp], 16
	.cfi_adjust_cfa_offset -16
	.cfi_restore x30
	ret
	.cfi_endproc
END(asm_states)

FUNCTION(asm_trap_first)
	.cfi_startproc
	udf	#0
	mov	x0, #3
	ret
	.cfi_endproc
END(asm_trap_first)

FUNCTION(asm_bare)
	add	x0, x0, #1
	add	x0, x0, x0
	ret
END(asm_bare)

#endif

	.section .note.GNU-stack, "", %progbits
