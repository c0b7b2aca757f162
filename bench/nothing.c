/* Does nothing, as /bin/true; its functions are there to be hooked. With an argument it calls them.
 */
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

int main(int argc, char **argv)
{
    static int (*const all[])(int) = {work_0, work_1, work_2, work_3, work_4,
                                      work_5, work_6, work_7, work_8, work_9};
    int sum = 0;

    (void)argv;
    for (int i = 0; argc > 1 && i < 10; i++)
        sum += all[i](1);
    return sum < 0;
}
