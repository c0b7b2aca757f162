/* vfork children that call tasks in their parent's memory, and posix_spawn. */
#include <spawn.h>
#include <sys/wait.h>

#include "body.h"

extern char **environ;

EXPORTED_TASK(int vforked_task(int x))
{
    body_ran("vforked_task");
    return x * 53 % 127;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(1);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int one(int x)
{
    pid_t pid = vfork();
    if (pid == 0)
        _exit(vforked_task(x) ^ vforked_task(7));
    return wait_for(pid);
}

int main(int argc, char **argv)
{
    char once[] = "once", *args[] = {argv[0], once, NULL};
    long sum = 0;
    pid_t pid = -1;

    if (argc > 1 && strcmp(argv[1], "once") == 0)
        return vforked_task(11);
    printf("parent %d\n", vforked_task(7));
    for (int i = 0; i < 200; i++) {
        sum = sum * 3 % 1000003 + one(i % 10);
        sum += vforked_task(i % 10);
    }
    printf("children %ld\n", sum);
    (void)fflush(stdout);
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ) != 0)
        return 1;
    printf("spawned %d\n", wait_for(pid));
    printf("parent %d %d\n", vforked_task(7), vforked_task(100));
    return 0;
}
