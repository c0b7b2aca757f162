/* Forks: children that go on calling tasks, children of children, children of a thread, a child
 * that execs; a thousand times (argument 1). */
#include <pthread.h>
#include <sys/wait.h>

#include "body.h"

EXPORTED_TASK(int forked_task(int x))
{
    body_ran("forked_task");
    return x * x % 251;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(1);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int child(int x, int depth)
{
    int sum = forked_task(x) + forked_task(x + 1);
    if (depth > 0) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(x + 2, depth - 1));
        sum += wait_for(pid);
    }
    return sum % 256;
}

static void *from_thread(void *arg)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(child(21, 1));
    *(int *)arg = wait_for(pid);
    return NULL;
}

static void exec_child(const char *self)
{
    pid_t pid = 0;
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void)execl(self, self, "once", (char *)NULL);
        _exit(126);
    }
    printf("exec %d\n", wait_for(pid));
}

int main(int argc, char **argv)
{
    int n = (int)argument(argc, argv, 1, 1000), result = 0;
    long sum = 0;
    pthread_t t;

    if (argc > 1 && strcmp(argv[1], "once") == 0)
        return forked_task(9);
    printf("parent %d\n", forked_task(3));
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(i % 20, i % 100 == 0 ? 2 : 0));
        sum = sum * 3 % 1000003 + wait_for(pid);
    }
    printf("children %ld\n", sum);
    if (pthread_create(&t, NULL, from_thread, &result) != 0 || pthread_join(t, NULL) != 0)
        return 1;
    printf("of a thread %d\n", result);
    exec_child(argv[0]);
    printf("parent %d, no child left: %d\n", forked_task(5), wait(NULL) == -1 && errno == ECHILD);
    return 0;
}
