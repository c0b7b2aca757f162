/* Functions whose first instructions test_window.c moves and runs. Each takes two integers and
 * returns one; window_codes lists them: name, address, size, ending with zeroes. */
        .section .data.rel.ro.codes, "aw", @progbits
        .globl  window_codes
        .hidden window_codes
window_codes:

        /* Pages of their own: they aren't executable while the test writes to them. */
        .section .text.window_codes, "ax", @progbits
        .balign 4096

        .macro fn name
        .balign 16
        .globl  code_\name
        .hidden code_\name
        .type   code_\name, @function
code_\name:
        .pushsection .rodata.names, "aMS", @progbits, 1
9:      .asciz  "\name"
        .popsection
        .pushsection .data.rel.ro.codes, "aw", @progbits
        .quad   9b, code_\name, end_\name - code_\name
        .popsection
        .endm

        .macro end name
end_\name:
        .size   code_\name, . - code_\name
        .endm

        fn      plain
        mov     %rdi, %rax
        add     %rsi, %rax
        ret
        end     plain

        fn      frame
        push    %rbp
        mov     %rsp, %rbp
        sub     $16, %rsp
        mov     %rdi, -8(%rbp)
        mov     -8(%rbp), %rax
        leave
        ret
        end     frame

        fn      rip_load
        mov     number(%rip), %rax
        add     %rdi, %rax
        ret
        end     rip_load

        fn      rip_lea
        lea     number(%rip), %rax
        mov     (%rax), %rax
        xor     %rdi, %rax
        ret
        end     rip_lea

        fn      rip_store
        mov     %rdi, slot(%rip)
        mov     slot(%rip), %rax
        ret
        end     rip_store

        fn      rip_imm8
        cmpl    $7, seven(%rip)
        sete    %al
        movzbl  %al, %eax
        add     %rdi, %rax
        ret
        end     rip_imm8

        fn      rip_imm8_byte
        testb   $4, seven(%rip)
        setne   %al
        movzbl  %al, %eax
        ret
        end     rip_imm8_byte

        fn      rip_imm16
        movw    $0x1234, slot(%rip)
        movzwl  slot(%rip), %eax
        ret
        end     rip_imm16

        fn      rip_imm32
        movq    $0x12345678, slot(%rip)
        mov     slot(%rip), %rax
        sub     %rdi, %rax
        ret
        end     rip_imm32

        fn      rip_imul
        imul    $1000, number(%rip), %rax
        ret
        end     rip_imul

        fn      rip_shift
        mov     %edi, %eax
        shll    $3, slot(%rip)
        movl    $1, slot(%rip)
        shll    $3, slot(%rip)
        mov     slot(%rip), %eax
        ret
        end     rip_shift

        fn      rip_sse
        movsd   real(%rip), %xmm0
        movq    %xmm0, %rax
        ret
        end     rip_sse

        fn      rip_sse_imm
        pshufd  $0x1b, vector(%rip), %xmm0
        movq    %xmm0, %rax
        ret
        end     rip_sse_imm

        fn      rip_x87
        fldl    real(%rip)
        fstpl   slot(%rip)
        mov     slot(%rip), %rax
        ret
        end     rip_x87

        fn      avx_load
        vmovdqu vector(%rip), %xmm1
        vmovq   %xmm1, %rax
        ret
        end     avx_load

        fn      avx_imm
        vpshufd $0x4e, vector(%rip), %xmm1
        vmovq   %xmm1, %rax
        ret
        end     avx_imm

        fn      avx512_load
        vmovdqu64 vector(%rip), %xmm17
        vmovdqu64 %xmm17, slot(%rip)
        mov     slot(%rip), %rax
        ret
        end     avx512_load

        fn      avx512_imm
        vpternlogq $0x55, vector(%rip){1to2}, %xmm18, %xmm18
        vmovdqu64 %xmm18, slot(%rip)
        mov     slot(%rip), %rax
        ret
        end     avx512_imm

        fn      rip_push
        push    number(%rip)
        pop     %rax
        ret
        end     rip_push

        fn      rip_call
        call    *pointer(%rip)
        inc     %rax
        ret
        end     rip_call

        fn      rip_jump
        jmp     *pointer(%rip)
        end     rip_jump

        fn      call_near
        .byte   0xe8
        .long   helper - . - 4
        add     %rax, %rax
        ret
        end     call_near

        fn      call_padded             /* as a call of __tls_get_addr is written */
        .byte   0x66, 0x66, 0x48, 0xe8
        .long   helper - . - 4
        add     %rax, %rax
        ret
        end     call_padded

        fn      call_self               /* recursion: sum of 0..rdi */
        push    %rbx
        mov     %rdi, %rbx
        xor     %eax, %eax
        dec     %rdi
        js      1f
        call    code_call_self
1:      add     %rbx, %rax
        pop     %rbx
        ret
        end     call_self

        fn      jump_near
        .byte   0xe9
        .long   helper - . - 4
        end     jump_near

        fn      jump_short
        lea     (%rdi, %rsi), %rax
        nop
        jmp     1f
        ud2
1:      neg     %rax
        ret
        end     jump_short

        fn      jump_first
        jmp     1f
        dec     %edi
        nop
1:      lea     1(%rdi), %rax
        ret
        end     jump_first

        .irp    cc, o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g
        fn      jcc_short_\cc
        cmp     %rsi, %rdi
        j\cc    1f
        mov     $1, %eax
        ret
1:      mov     $2, %eax
        ret
        end     jcc_short_\cc
        .endr

        fn      jcc_bnd
        cmp     %edi, %esi
        .byte   0xf2                    /* bnd */
        jz      1f
        mov     $1, %eax
        ret
1:      mov     $2, %eax
        ret
        end     jcc_bnd

        fn      jcc_near
        cmp     %edi, %esi
        .byte   0x0f, 0x84
        .long   1f - . - 4
        mov     $1, %eax
        ret
1:      mov     $2, %eax
        ret
        end     jcc_near

        fn      inside_taken
        stc
        jc      1f
        clc
1:      sbb     %rax, %rax
        ret
        end     inside_taken

        fn      inside_not_taken
        clc
        jc      1f
        stc
1:      sbb     %rax, %rax
        ret
        end     inside_not_taken

        fn      inside_back
        cmc
1:      dec     %edi
        jg      1b
        mov     %rdi, %rax
        ret
        end     inside_back

        fn      to_window_end
        cmp     %edi, %esi
        nop
        jz      1f
1:      setz    %al
        movzbl  %al, %eax
        ret
        end     to_window_end

        fn      endbr
        endbr64
        mov     number(%rip), %rax
        add     %rdi, %rax
        ret
        end     endbr

        fn      endbr_jcc
        endbr64
        test    %rdi, %rdi
        jz      1f
        mov     $1, %eax
        ret
1:      mov     $2, %eax
        ret
        end     endbr_jcc

        fn      two_fixups
        stc
        jnc     1f
        mov     number(%rip), %rax
        ret
1:      xor     %eax, %eax
        ret
        end     two_fixups

        fn      three_fixups
        jz      1f
        jc      1f
        mov     number(%rip), %eax
        sub     %eax, %eax
        ret
1:      xor     %eax, %eax
        ret
        end     three_fixups

        fn      ends_with_window
        mov     %rdi, %rax
        nop
        ret
        end     ends_with_window

        fn      returns_at_window_end
        xchg    %eax, %edi
        stc
        jnc     1f
        ret
1:      mov     $5, %eax
        ret
        end     returns_at_window_end

        fn      falls_through
        lea     3(%rdi), %rdi
        nop
        end     falls_through
        /* no alignment: the next one is where it falls to */
helper: lea     100(%rdi), %rax
        ret
        .balign 4096

        .section .rodata
        .balign 16
vector: .quad   0x1122334455667788, 0x99aabbccddeeff00
number: .quad   0x0123456789abcdef
real:   .double 2.5
seven:  .long   7

        .data
        .balign 64
slot:   .skip   64
pointer: .quad  helper

        .pushsection .data.rel.ro.codes, "aw", @progbits
        .quad   0, 0, 0
        .popsection

        .section .note.GNU-stack, "", @progbits
