/* A program that locks itself up: `strict` (read, write, exit, sigreturn are left) or `filter` (the
 * same by a filter that kills). Tasks are called before and after, with old and with new keys. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "body.h"

static int log_fd = -1; /* opened before the door closes */

EXPORTED_TASK(int locked_task(int x))
{
    if (log_fd >= 0)
        body_write(log_fd, "locked_task");
    return x * 59;
}

static int enter_filter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void say(const char *what, int a, int b, int c)
{
    char line[96];
    int n = snprintf(line, sizeof line, "%s %d %d %d\n", what, a, b, c);
    if (write(1, line, (size_t)n) != n)
        (void)syscall(SYS_exit, 3);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "filter", *path = getenv("BODY_LOG");
    int rc = 0;

    if (path != NULL)
        log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    say("before", locked_task(1), locked_task(1), locked_task(2));
    rc = strcmp(how, "strict") == 0 ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) : enter_filter();
    if (rc != 0)
        return 2;
    for (int i = 0; i < 3; i++)
        say("after", locked_task(1), locked_task(10), locked_task(20 + i));
    (void)syscall(SYS_exit, 0);
    return 1;
}
