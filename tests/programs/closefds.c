/* Closes all descriptors, as daemons do, opens its own files and goes on calling tasks. Argument:
 * `loop`, `range` or `from`. What the files hold, and which numbers they got, is printed. */
#include <sys/stat.h>

#include "body.h"

EXPORTED_TASK(int after_close(int x))
{
    body_ran("after_close");
    return x * 17;
}

static void close_all(const char *how)
{
    if (strcmp(how, "range") == 0)
        (void)close_range(3, ~0u, 0);
    else if (strcmp(how, "from") == 0)
        closefrom(3);
    else
        for (int fd = 3; fd < 65536; fd++)
            (void)close(fd);
}

/* A file without a name; its number is the lowest free one. */
static int own_file(void)
{
    char name[] = "/tmp/closefds-XXXXXX";
    int fd = mkstemp(name);
    if (fd >= 0)
        (void)unlink(name);
    return fd;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "loop";
    int fd[4], sum = after_close(1);

    for (int round = 0; round < 3; round++) {
        close_all(how);
        for (int i = 0; i < 4; i++) {
            fd[i] = own_file();
            sum += after_close(round * 4 + i) + after_close(1);
            if (dprintf(fd[i], "file %d of round %d\n", i, round) < 0)
                return 1;
        }
        sum += after_close(round + 100);
        for (int i = 0; i < 4; i++) {
            char text[64];
            ssize_t n = pread(fd[i], text, sizeof text - 1, 0);
            struct stat st;
            text[n > 0 ? n : 0] = '\0';
            printf("fd %d, %lld bytes: %s", fd[i],
                   fstat(fd[i], &st) == 0 ? (long long)st.st_size : -1, text);
        }
    }
    printf("sum %d\n", sum);
    return 0;
}
