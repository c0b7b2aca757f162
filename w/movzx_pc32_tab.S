.text
.globl f
.type f,@function
f: vgatherdps %ymm2,tab(,%ymm1,4),%ymm0
ret
.size f,.-f
.section .rodata
.type a,@object
.size a,8
a: .quad 5
.type tab,@object
.size tab,64
tab: .long 1,2,K,4
.zero 48
.globl main
.text
main: ret
.section .note.GNU-stack,"",@progbits
