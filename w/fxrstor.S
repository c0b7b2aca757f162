.text
.globl f
.type f,@function
f: fxrstor tab(%rip)
xrstor tab(%rip)
fldenv tab2(%rip)
ret
.size f,.-f
.section .rodata
.balign 64
tab: .zero 556
.long 4,K
.zero 120
tab2: .zero 64
.section .note.GNU-stack,"",@progbits
