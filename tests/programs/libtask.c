/* The library of dlopen_task.c: an exported task, a static one, and a constructor that calls both.
 */
#include "body.h"

EXPORTED_TASK(int lib_task(int x))
{
    body_ran("lib_task");
    return x * 43;
}

STATIC_TASK(int lib_static(int x))
{
    body_ran("lib_static");
    return x * 47;
}

extern int lib_sum;
int lib_sum;

int lib_inside(int x);
int lib_inside(int x)
{
    return lib_task(x) + lib_static(x);
}

__attribute__((constructor)) static void at_load(void)
{
    lib_sum = lib_inside(1) * 10 + lib_inside(1);
}
