.text
.globl f
.type f,@function
f: ldtilecfg tab(%rip)
ret
.size f,.-f
.section .rodata
.balign 64
tab: .zero 56
.long 4,K
.zero 120
.section .note.GNU-stack,"",@progbits
