.text
.globl f
.type f,@function
f: lea a(%rip),%rax
mov 100(%rax,%rdi,4),%eax
ret
.size f,.-f
.section .rodata
.type a,@object
.size a,8
a: .quad 5
.zero 92
.type b,@object
.size b,16
b: .long 1,2,K,4
.section .note.GNU-stack,"",@progbits
