.text
.globl f
.type f,@function
f: movq $tab-4,-8(%rsp)
mov -8(%rsp),%rax
mov (%rax,%rdi,4),%eax
ret
.size f,.-f
.section .rodata
.type a,@object
.size a,8
a: .quad 5
.type tab,@object
.size tab,16
tab: .long 1,2,K,4
.globl main
.text
main: ret
.section .note.GNU-stack,"",@progbits
