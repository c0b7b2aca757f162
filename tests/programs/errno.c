/* errno: a task that sets it, one that leaves it alone although its body's calls touch it, one that
 * clears it. With the argument `same` the first call finds the value in errno that it sets. */
#include "body.h"

EXPORTED_TASK(int sets_errno(int x))
{
    body_ran("sets_errno");
    if (x < 0) {
        errno = ERANGE;
        return -1;
    }
    if (x > 100)
        errno = 0;
    return x * 2;
}

EXPORTED_TASK(int keeps_errno(int x))
{
    int saved = errno;
    body_ran("keeps_errno");
    (void)close(-1);
    errno = saved;
    return x * 3;
}

static void one(int (*f)(int), const char *name, int x, int before)
{
    int result = 0;
    errno = before;
    result = f(x);
    printf("%s(%d) = %d, errno %d -> %d\n", name, x, result, before, errno);
}

int main(int argc, char **argv)
{
    int before[] = {0, EINTR, 0, 77};

    if (argc > 1 && strcmp(argv[1], "same") == 0)
        before[0] = ERANGE;
    for (int i = 0; i < 4; i++) {
        one(sets_errno, "sets_errno", -5, before[i]);
        one(sets_errno, "sets_errno", 5, before[i]);
        one(sets_errno, "sets_errno", 500, 0);
        one(keeps_errno, "keeps_errno", 5, before[i]);
    }
    return 0;
}
