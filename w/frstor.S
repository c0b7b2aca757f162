.text
.globl f
.type f,@function
f: frstor tab2(%rip)
ret
.size f,.-f
.section .rodata
.balign 64
tab2: .zero 100
.long K,0,0,0
.zero 64
.section .note.GNU-stack,"",@progbits
