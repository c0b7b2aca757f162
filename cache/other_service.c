#include "cache/other_service.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache/places.h"

/* Who listens there, if it is ourselves; 0: nobody. */
static pid_t listener(int dir, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t bytes = sizeof peer;
    int n = snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", dir, name), fd, r;

    if (n < 0 || (size_t)n >= sizeof a.sun_path)
        return 0;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    r = connect(fd, (struct sockaddr *)&a, sizeof a);
    if (r == 0)
        r = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes);
    (void)close(fd);
    return r == 0 && peer.uid == geteuid() ? peer.pid : 0;
}

/* "CACHEID.v….sock", but not our own. */
static int is_other(const char *name, const char *id, const char *own)
{
    size_t n = strlen(id), all = strlen(name);

    return strncmp(name, id, n) == 0 && strncmp(name + n, ".v", 2) == 0 && all > n + 7 &&
           strcmp(name + all - 5, ".sock") == 0 && strcmp(name, own) != 0;
}

pid_t tc_other_service(const char *runtime, const char *id)
{
    char own[TC_PATH_BYTES];
    pid_t found = 0;
    DIR *d;

    if (tc_socket_path("", id, own, sizeof own) < 0)
        return 0;
    d = opendir(runtime);
    for (struct dirent *e; d != NULL && found == 0 && (e = readdir(d)) != NULL;)
        if (is_other(e->d_name, id, own + 1))
            found = listener(dirfd(d), e->d_name);
    if (d != NULL)
        (void)closedir(d);
    return found;
}
