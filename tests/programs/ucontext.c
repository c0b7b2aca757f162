/* Coroutines that are switched inside a task, ended in another order than they were begun, given up
 * in the middle, and their stacks used again. A replayed call doesn't switch: the program allows
 * for both. */
#include <ucontext.h>

#include "body.h"

#define STACK_BYTES 65536
#define COROUTINES  6

static ucontext_t main_context;
static struct coroutine {
    ucontext_t context;
    char stack[STACK_BYTES] __attribute__((aligned(16)));
    int x, result, done;
} all[COROUTINES], *current;

static void yield(void)
{
    struct coroutine *c = current;
    if (c != NULL)
        (void)swapcontext(&c->context, &main_context);
}

EXPORTED_TASK(int switches(int x))
{
    body_ran("switches");
    yield();
    return x * 23;
}

EXPORTED_TASK(int switches_twice(int x))
{
    int sum = 0;
    body_ran("switches_twice");
    yield();
    sum = switches(x + 1000);
    yield();
    return sum + x;
}

EXPORTED_TASK(int stays(int x))
{
    body_ran("stays");
    return x * 29;
}

static void run(void)
{
    struct coroutine *c = current;
    c->result = switches_twice(c->x) + stays(c->x);
    c->done = 1;
}

static void begin(struct coroutine *c, int x)
{
    (void)getcontext(&c->context);
    c->context.uc_stack.ss_sp = c->stack;
    c->context.uc_stack.ss_size = sizeof c->stack;
    c->context.uc_link = &main_context;
    c->x = x;
    c->done = 0;
    makecontext(&c->context, run, 0);
}

static void resume(struct coroutine *c)
{
    if (c->done)
        return;
    current = c;
    (void)swapcontext(&main_context, &c->context);
    current = NULL;
}

static void round_of(int first, int step)
{
    for (int i = 0; i < COROUTINES; i++)
        begin(&all[i], first + i % 4);
    for (int left = 1; left != 0;) {
        left = 0;
        for (int i = 0; i < COROUTINES; i++) {
            resume(&all[i * step % COROUTINES]);
            (void)stays(i);
        }
        for (int i = 0; i < COROUTINES; i++)
            left += !all[i].done;
    }
    for (int i = 0; i < COROUTINES; i++)
        printf("%d%c", all[i].result, i < COROUTINES - 1 ? ' ' : '\n');
}

int main(void)
{
    round_of(1, 1);
    round_of(1, 5);
    for (int i = 0; i < 100; i++) { /* given up inside the task, if it gets there */
        begin(&all[i % 2], 100 + i);
        resume(&all[i % 2]);
        if (i % 3 == 0)
            resume(&all[i % 2]);
    }
    round_of(50, 5);
    printf("main %d %d\n", switches(3), switches_twice(4));
    return 0;
}
