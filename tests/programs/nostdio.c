/* Runs itself with descriptors 0, 1 and 2 closed at start; that copy opens files of its own, which
 * get these numbers, calls tasks, and prints to "stdout" and "stderr" blindly. */
#include <sys/wait.h>

#include "body.h"

EXPORTED_TASK(int without_stdio(int x))
{
    body_ran("without_stdio");
    return x * 19;
}

static int bare(const char *path)
{
    int sum = without_stdio(1);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    int second = open("/dev/null", O_RDWR), third = -1;

    sum += without_stdio(2) + without_stdio(1);
    third = open("/dev/null", O_RDWR);
    (void)dprintf(fd, "numbers %d %d %d\n", fd, second, third);
    printf("lost\n");
    (void)fprintf(stderr, "lost\n");
    sum += without_stdio(3);
    (void)dprintf(fd, "sum %d\n", sum);
    return 0;
}

int main(int argc, char **argv)
{
    char path[] = "/tmp/nostdio-XXXXXX", text[256];
    int fd = -1, status = 0;
    ssize_t n = 0;
    pid_t pid = 0;

    if (argc > 2 && strcmp(argv[1], "bare") == 0)
        return bare(argv[2]);
    fd = mkstemp(path);
    pid = fd >= 0 ? fork() : -1;
    if (pid == 0) {
        for (int i = 0; i <= fd; i++)
            (void)close(i);
        (void)execl("/proc/self/exe", argv[0], "bare", path, (char *)NULL);
        _exit(126);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 1;
    n = pread(fd, text, sizeof text, 0);
    printf("status %d\n%.*s", status, n > 0 ? (int)n : 0, text);
    (void)unlink(path);
    return 0;
}
