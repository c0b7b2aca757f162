#include <stdio.h>

__attribute__((noinline, noclone)) static int add_one(int x)
{
    printf("  (the body of add_one(%d) runs)\n", x);
    fflush(stdout);
    return x + 1;
}

int main(void)
{
    printf("add_one(1) = %d\n", add_one(1));
    printf("add_one(1) = %d\n", add_one(1));
    printf("add_one(2) = %d\n", add_one(2));
    return 0;
}
