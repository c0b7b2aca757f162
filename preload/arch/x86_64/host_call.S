/*
 * A call of code that isn't ours (the host's malloc, a plugin) in the middle of a task's call.
 *
 * tc_arch_call_host(call, mask): such code obeys the psABI and uses whatever registers it likes, while the task's caller may keep
 * live values in every one of them, to the upper parts of zmm (see stub.S). So the processor's whole extended state is saved on the
 * stack and comes back afterwards; the code starts with the state of a fresh thread: an empty x87 stack, all exceptions masked, the
 * nearest rounding. `mask` is what XSAVE saves (0: there is no XSAVE, FXSAVE saves all there is).
 *
 * A C++ exception ends here: tc_host_personality() says so to the unwinder and makes it go on at tc_call_host_thrown, with the
 * exception in %rax.
 */
#define C_FUNCTION 0
#define C_ARGUMENT 8
#define C_RESULT 56

/* The legacy area (512), the header (64), and everything up to Hi16_ZMM in XSAVE's standard format (2688). */
#define AREA 2752
#define B_MASK -24

	.text
	.globl tc_arch_call_host
	.hidden tc_arch_call_host
	.type tc_arch_call_host, @function
	.p2align 4
tc_arch_call_host:
	.cfi_startproc
	.cfi_personality 0x1b, tc_host_personality
	endbr64
	pushq %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq %rsp, %rbp
	.cfi_def_cfa_register %rbp
	pushq %rbx
	.cfi_offset %rbx, -24
	movq %rdi, %rbx
	subq $(AREA + 24), %rsp
	andq $-64, %rsp
	movq %rsi, B_MASK(%rbp)
	movl %esi, %eax
	xorl %edx, %edx
	testl %eax, %eax
	jz 1f
	/* XRSTOR refuses a header with anything in it but what XSAVE wrote (Intel SDM 1, 13.8.1). */
	movq %rdx, 512(%rsp)
	movq %rdx, 520(%rsp)
	movq %rdx, 528(%rsp)
	movq %rdx, 536(%rsp)
	movq %rdx, 544(%rsp)
	movq %rdx, 552(%rsp)
	movq %rdx, 560(%rsp)
	movq %rdx, 568(%rsp)
	xsave64 (%rsp)
	jmp 2f
1:	fxsave64 (%rsp)
2:	fninit
	ldmxcsr fresh_mxcsr(%rip)
	movq C_ARGUMENT+0(%rbx), %rdi
	movq C_ARGUMENT+8(%rbx), %rsi
	movq C_ARGUMENT+16(%rbx), %rdx
	movq C_ARGUMENT+24(%rbx), %rcx
	movq C_ARGUMENT+32(%rbx), %r8
	movq C_ARGUMENT+40(%rbx), %r9
	xorl %eax, %eax
	call *C_FUNCTION(%rbx)
	xorl %ecx, %ecx
	jmp 3f
	.globl tc_call_host_thrown
	.hidden tc_call_host_thrown
tc_call_host_thrown:
	endbr64
	movl $1, %ecx
3:	movq %rax, C_RESULT(%rbx)
	movq B_MASK(%rbp), %rax
	xorl %edx, %edx
	testl %eax, %eax
	jz 4f
	xrstor64 (%rsp)
	jmp 5f
4:	fxrstor64 (%rsp)
5:	movl %ecx, %eax
	movq -8(%rbp), %rbx
	leave
	.cfi_def_cfa %rsp, 8
	.cfi_restore %rbp
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size tc_arch_call_host, . - tc_arch_call_host

	.section .rodata
	.p2align 2
fresh_mxcsr:
	.long 0x1f80

	.section .note.GNU-stack, "", @progbits
