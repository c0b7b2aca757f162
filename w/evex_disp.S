.text
.globl f
.type f,@function
f: vmovdqu64 tab+64(%rip),%zmm0
vaddpd tab+128(%rip){1to8},%zmm1,%zmm0
ret
.size f,.-f
.section .rodata
.balign 64
.type tab,@object
.size tab,256
tab: .zero 64
.long 4,5,K
.zero 180
.section .note.GNU-stack,"",@progbits
