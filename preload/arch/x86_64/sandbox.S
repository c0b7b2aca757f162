/*
 * prctl() and syscall(), as libc has them, for one purpose: to know when the host enters seccomp. From then on the runtime makes no
 * system call, as one that the filter doesn't know would kill the host. In assembly, as syscall() may return twice.
 * The conventions are those of prctl(2), syscall(2) and seccomp(2).
 */
#define SYS_PRCTL 157
#define SYS_SECCOMP 317
#define PR_SET_SECCOMP 22
#define PR_SET_TSC 26 /* without the time stamp counter the vDSO's clock is a SIGSEGV */
#define SECCOMP_SET_MODE_FILTER 1

	.text
	.globl prctl
	.type prctl, @function
	.p2align 4
prctl:
	.cfi_startproc
	endbr64
	cmpl $PR_SET_SECCOMP, %edi
	je 4f
	cmpl $PR_SET_TSC, %edi
	jne 1f
4:	movl $1, tc_sandboxed(%rip)
1:	movq %rcx, %r10
	movl $SYS_PRCTL, %eax
	syscall
	cmpq $-4095, %rax
	jae set_errno
	ret
	.cfi_endproc
	.size prctl, . - prctl

	.globl syscall
	.type syscall, @function
	.p2align 4
syscall:
	.cfi_startproc
	endbr64
	cmpq $SYS_PRCTL, %rdi
	je 2f
	cmpq $SYS_SECCOMP, %rdi
	je 3f
1:	movq %rdi, %rax
	movq %rsi, %rdi
	movq %rdx, %rsi
	movq %rcx, %rdx
	movq %r8, %r10
	movq %r9, %r8
	movq 8(%rsp), %r9
	syscall
	cmpq $-4095, %rax
	jae set_errno
	ret
2:	cmpl $PR_SET_SECCOMP, %esi
	je 4f
	cmpl $PR_SET_TSC, %esi
	jne 1b
4:	movl $1, tc_sandboxed(%rip)
	jmp 1b
3:	cmpl $SECCOMP_SET_MODE_FILTER, %esi
	ja 1b
	movl $1, tc_sandboxed(%rip)
	jmp 1b
	.cfi_endproc
	.size syscall, . - syscall

	.type set_errno, @function
	.p2align 4
set_errno:
	.cfi_startproc
	negl %eax
	pushq %rax
	.cfi_adjust_cfa_offset 8
	movq __errno_location@GOTPCREL(%rip), %rax
	testq %rax, %rax
	je 1f
	call *%rax
	movl (%rsp), %ecx
	movl %ecx, (%rax)
1:	popq %rcx
	.cfi_adjust_cfa_offset -8
	movq $-1, %rax
	ret
	.cfi_endproc
	.size set_errno, . - set_errno
	.weak __errno_location

	.section .note.GNU-stack, "", @progbits
