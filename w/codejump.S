.text
.globl f
.type f,@function
f: lea 1f(%rip),%rax
add $0x20,%rax
mov (%rax),%eax
ret
1:
.size f,.-f
.zero 0x20
.long K
.section .note.GNU-stack,"",@progbits
