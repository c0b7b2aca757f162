/*
 * The way from a task's entry into the runtime and back.
 *
 * A near stub is `push $index; jmp *common`: it leaves one word on the stack, which never looks like a return address. tc_common saves every
 * register that a call may change: a local function doesn't obey the psABI, its callers may keep live values in any register that the
 * function itself doesn't touch (gcc -fipa-ra), so all of them come back as they were, on a hit and on the way into the
 * original; after the original they come back as it left them. Vector registers are saved by 128 bits; the runtime uses
 * legacy SSE instructions only, which leave the upper parts alone.
 *
 * Offsets in struct tc_frame (frame.h); arch.c asserts that they agree.
 */
#define F_RAX 0
#define F_RDX 8
#define F_RCX 16
#define F_RSI 24
#define F_RDI 32
#define F_R8 40
#define F_R9 48
#define F_R10 56
#define F_R11 64
#define F_HOOK 72
#define F_ENTRY 80
#define F_ORIGINAL 88
#define F_CALL_STACK 96
#define F_COPY 104
#define F_X87 120
#define F_XMM 128
#define F_RESULT 512
#define F_BYTES 576

/* %rbp-relative words below the saved %rbp. */
#define B_FRAME -8
#define B_ORIGINAL -16
#define B_BYTES 32

.macro save_all base
	movq %rax, F_RAX(\base)
	movq %rdx, F_RDX(\base)
	movq %rcx, F_RCX(\base)
	movq %rsi, F_RSI(\base)
	movq %rdi, F_RDI(\base)
	movq %r8, F_R8(\base)
	movq %r9, F_R9(\base)
	movq %r10, F_R10(\base)
	movaps %xmm0, F_XMM+0(\base)
	movaps %xmm1, F_XMM+16(\base)
	movaps %xmm2, F_XMM+32(\base)
	movaps %xmm3, F_XMM+48(\base)
	movaps %xmm4, F_XMM+64(\base)
	movaps %xmm5, F_XMM+80(\base)
	movaps %xmm6, F_XMM+96(\base)
	movaps %xmm7, F_XMM+112(\base)
	movaps %xmm8, F_XMM+128(\base)
	movaps %xmm9, F_XMM+144(\base)
	movaps %xmm10, F_XMM+160(\base)
	movaps %xmm11, F_XMM+176(\base)
	movaps %xmm12, F_XMM+192(\base)
	movaps %xmm13, F_XMM+208(\base)
	movaps %xmm14, F_XMM+224(\base)
	movaps %xmm15, F_XMM+240(\base)
.endm

/* All but %r11, which may be the base. */
.macro restore_all base
	movaps F_XMM+0(\base), %xmm0
	movaps F_XMM+16(\base), %xmm1
	movaps F_XMM+32(\base), %xmm2
	movaps F_XMM+48(\base), %xmm3
	movaps F_XMM+64(\base), %xmm4
	movaps F_XMM+80(\base), %xmm5
	movaps F_XMM+96(\base), %xmm6
	movaps F_XMM+112(\base), %xmm7
	movaps F_XMM+128(\base), %xmm8
	movaps F_XMM+144(\base), %xmm9
	movaps F_XMM+160(\base), %xmm10
	movaps F_XMM+176(\base), %xmm11
	movaps F_XMM+192(\base), %xmm12
	movaps F_XMM+208(\base), %xmm13
	movaps F_XMM+224(\base), %xmm14
	movaps F_XMM+240(\base), %xmm15
	movq F_RAX(\base), %rax
	movq F_RDX(\base), %rdx
	movq F_RCX(\base), %rcx
	movq F_RSI(\base), %rsi
	movq F_RDI(\base), %rdi
	movq F_R8(\base), %r8
	movq F_R9(\base), %r9
	movq F_R10(\base), %r10
.endm

	.text
	.globl tc_common
	.hidden tc_common
	.type tc_common, @function
	.p2align 6
tc_common:
	.cfi_startproc
	.cfi_def_cfa %rsp, 16
	.cfi_offset %rip, -8
	endbr64
	pushq %rbp
	.cfi_def_cfa_offset 24
	.cfi_offset %rbp, -24
	movq %rsp, %rbp
	.cfi_def_cfa_register %rbp
	leaq -(F_BYTES + B_BYTES)(%rsp), %rsp
	andq $-64, %rsp
	save_all %rsp
	movq %r11, F_R11(%rsp)
	movq %rsp, B_FRAME(%rbp)
	movq 8(%rbp), %rax
	movq %rax, F_HOOK(%rsp)
	leaq 16(%rbp), %rax
	movq %rax, F_ENTRY(%rsp)
	movq %rsp, %rdi
	call tc_enter
	cmpl $1, %eax
	ja 2f
	je 1f

	/* Bypass: the slot of the hook's index takes the address of the original, and nothing else is left of us. The word that
	 * the jump reads lies in the red zone, which signal handlers keep. */
	movq F_ORIGINAL(%rsp), %rax
	movq %rax, 8(%rbp)
	restore_all %rsp
	movq F_R11(%rsp), %r11
	.cfi_remember_state
	movq %rbp, %rsp
	popq %rbp
	.cfi_def_cfa %rsp, 16
	.cfi_restore %rbp
	leaq 8(%rsp), %rsp
	.cfi_def_cfa_offset 8
	jmp *-8(%rsp)
	.cfi_restore_state

1:	/* Return to the caller. */
	cmpq $0, F_X87(%rsp)
	jne 3f
4:	restore_all %rsp
	movq F_R11(%rsp), %r11
	.cfi_remember_state
	movq %rbp, %rsp
	popq %rbp
	.cfi_def_cfa %rsp, 16
	.cfi_restore %rbp
	leaq 8(%rsp), %rsp
	.cfi_def_cfa_offset 8
	ret
	.cfi_restore_state

2:	/* Call the original on a stack of the same alignment as the caller's, with a copy of the stack arguments. */
	movq %rsp, %r11
	movq F_ORIGINAL(%r11), %rax
	movq %rax, B_ORIGINAL(%rbp)
	movq F_CALL_STACK(%r11), %rsp
	movq F_ENTRY(%r11), %rsi
	addq $8, %rsi
	movq %rsp, %rdi
	movq F_COPY(%r11), %rcx
	rep movsq
	restore_all %r11
	movq F_R11(%r11), %r11
	call *B_ORIGINAL(%rbp)
	pushq %r11
	movq B_FRAME(%rbp), %r11
	save_all %r11
	popq %rax
	movq %rax, F_R11(%r11)
	movq %r11, %rsp
	movq %rsp, %rdi
	call tc_leave
	jmp 4b

3:	/* A long double, or a complex one: its imaginary part goes below. */
	cmpq $1, F_X87(%rsp)
	je 5f
	fldt F_RESULT+16(%rsp)
5:	fldt F_RESULT(%rsp)
	jmp 4b
	.cfi_endproc
	.size tc_common, . - tc_common

/* The loader's notification function is empty; the stub runs tc_notified() and returns in its place. Called by ld.so under the psABI. */
	.globl tc_notify_stub
	.hidden tc_notify_stub
	.type tc_notify_stub, @function
	.p2align 4
tc_notify_stub:
	.cfi_startproc
	endbr64
	pushq %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq %rsp, %rbp
	.cfi_def_cfa_register %rbp
	leaq -(F_BYTES + B_BYTES)(%rsp), %rsp
	andq $-64, %rsp
	save_all %rsp
	movq %r11, F_R11(%rsp)
	call tc_notified
	restore_all %rsp
	movq F_R11(%rsp), %r11
	leave
	.cfi_def_cfa %rsp, 8
	.cfi_restore %rbp
	ret
	.cfi_endproc
	.size tc_notify_stub, . - tc_notify_stub

	.section .note.GNU-stack, "", @progbits
