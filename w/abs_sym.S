.text
.globl f
.type f,@function
f: mov foo@GOTPCREL(%rip),%rax
ret
.size f,.-f
.globl foo
.set foo,K
.section .note.GNU-stack,"",@progbits
