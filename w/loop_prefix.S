.text
.globl f
.type f,@function
f: mov %rdi,%rcx
1: inc %rax
#if K==1
loop 1b
#else
.byte 0x67
loop 1b
#endif
ret
.size f,.-f
.section .note.GNU-stack,"",@progbits
