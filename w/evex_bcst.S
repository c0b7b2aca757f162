.text
.globl f
.type f,@function
f: vaddpd tab+128(%rip){1to8},%zmm1,%zmm0
ret
.size f,.-f
.section .rodata
.balign 64
.type tab,@object
.size tab,256
tab: .zero 128
.long 4,K
.zero 120
.section .note.GNU-stack,"",@progbits
