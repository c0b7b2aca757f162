.text
.globl f
.type f,@function
f: movabs tab,%eax
ret
.size f,.-f
.section .rodata
.type tab,@object
.size tab,8
tab: .long K,4
.globl main
.text
main: ret
.section .note.GNU-stack,"",@progbits
