/*
 * A caller that does what compilers do under -fipa-ra: it knows which registers a local function
 * writes (rax and the flags) and keeps values in all others over the call.
 *
 *     void liveregs_call(struct live *l, int a, int b, int which)
 *
 * struct live: 0 before[16] GPRs in the order of `gprs`, 128 after[16], 256 ymm before[16 * 32],
 * 768 ymm after[16 * 32], 1280 result, 1288 use AVX, 1296 misalign the stack by 8.
 * `which` 0: keep_leaf, 1: keep_leaf_rip.
 */
        .text

        .type   keep_leaf, @function
keep_leaf:
        .cfi_startproc
        imul    $31, %edi, %eax
        add     %esi, %eax
        incl    keep_leaf_runs(%rip)
        ret
        .cfi_endproc
        .size   keep_leaf, .-keep_leaf

        /* Its first instruction refers to memory by RIP: it must be moved with care. */
        .type   keep_leaf_rip, @function
keep_leaf_rip:
        .cfi_startproc
        incl    keep_leaf_rip_runs(%rip)
        lea     (%rdi,%rsi,8), %eax
        ret
        .cfi_endproc
        .size   keep_leaf_rip, .-keep_leaf_rip

        .globl  liveregs_call
        .type   liveregs_call, @function
liveregs_call:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        push    %rdi                    /* -48(%rbp): l; rsp is a multiple of 16 here */
        .cfi_offset %rbx, -24
        .cfi_offset %r12, -32
        .cfi_offset %r13, -40
        .cfi_offset %r14, -48
        .cfi_offset %r15, -56
        sub     $32, %rsp
        mov     %rdi, %rbx
        mov     %esi, 0(%rsp)
        mov     %edx, 4(%rsp)
        mov     %ecx, 8(%rsp)
        mov     0(%rsp), %edi
        mov     4(%rsp), %esi
        cmpl    $0, 1296(%rbx)
        je      1f
        sub     $8, %rsp
1:
        cmpl    $0, 1288(%rbx)
        jne     2f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  256+\n*32(%rbx), %xmm\n
        .endr
        jmp     3f
2:
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovups 256+\n*32(%rbx), %ymm\n
        .endr
3:
        test    %ecx, %ecx
        mov     16(%rbx), %rcx
        mov     24(%rbx), %rdx
        mov     32(%rbx), %r8
        mov     40(%rbx), %r9
        mov     48(%rbx), %r10
        mov     56(%rbx), %r11
        mov     72(%rbx), %r12
        mov     80(%rbx), %r13
        mov     88(%rbx), %r14
        mov     96(%rbx), %r15
        jnz     4f
        xor     %eax, %eax
        call    keep_leaf
        jmp     5f
4:
        xor     %eax, %eax
        call    keep_leaf_rip
5:
        /* rbx is callee-saved in every convention: if it is lost, nothing is left to tell by. */
        mov     %rdi, 128(%rbx)
        mov     %rsi, 136(%rbx)
        mov     %rcx, 144(%rbx)
        mov     %rdx, 152(%rbx)
        mov     %r8, 160(%rbx)
        mov     %r9, 168(%rbx)
        mov     %r10, 176(%rbx)
        mov     %r11, 184(%rbx)
        mov     %r12, 200(%rbx)
        mov     %r13, 208(%rbx)
        mov     %r14, 216(%rbx)
        mov     %r15, 224(%rbx)
        mov     %rax, 1280(%rbx)
        cmpl    $0, 1288(%rbx)
        jne     6f
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movups  %xmm\n, 768+\n*32(%rbx)
        .endr
        jmp     7f
6:
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovups %ymm\n, 768+\n*32(%rbx)
        .endr
        vzeroupper
7:
        lea     -40(%rbp), %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   liveregs_call, .-liveregs_call

        .bss
        .globl  keep_leaf_runs, keep_leaf_rip_runs
        .type   keep_leaf_runs, @object
        .size   keep_leaf_runs, 4
        .type   keep_leaf_rip_runs, @object
        .size   keep_leaf_rip_runs, 4
        .balign 4
keep_leaf_runs: .long 0
keep_leaf_rip_runs: .long 0

        .section .note.GNU-stack, "", @progbits
