.text
.globl f
.type f,@function
f: xor %eax,%eax
.size f,.-f
g: mov $K,%eax
ret
.size g,.-g
.type g,@function
.section .note.GNU-stack,"",@progbits
