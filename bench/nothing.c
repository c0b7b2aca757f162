/* Does nothing, as /bin/true; its functions are there to be hooked. */
#define BODY(n)                                                          \
    int work_##n(int x);                                                 \
    __attribute__((noinline, visibility("default"))) int work_##n(int x) \
    {                                                                    \
        return x * (n + 3) + (x >> n);                                   \
    }
BODY(0)
BODY(1)
BODY(2)
BODY(3)
BODY(4)
BODY(5)
BODY(6)
BODY(7)
BODY(8)
BODY(9)

int main(void)
{
    return 0;
}
