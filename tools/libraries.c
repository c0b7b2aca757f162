#include "tools/libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIST_MS 5000

int tc_libraries_add(struct tc_libraries *l, const char *path, enum tc_library_origin origin)
{
    struct tc_file_id id;
    int r = tc_file_id(path, &id);
    if (r < 0)
        return r;
    /* The service stands elsewhere. */
    TC_CLEANUP(tc_free_text) char *own = *path == '/' ? tc_copy(path) : realpath(path, NULL);
    if (!own)
        return -errno;
    for (size_t i = 0; i < l->count; i++)
        if (l->library[i].id.dev == id.dev && l->library[i].id.ino == id.ino)
            return 0;
    l->library = tc_grow(l->library, l->count, &l->allocated, sizeof *l->library);
    l->library[l->count++] = (struct tc_library){.path = own, .id = id, .origin = origin};
    own = NULL;
    return 0;
}

void tc_libraries_free(struct tc_libraries *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->library[i].path);
    free(l->library);
    *l = (struct tc_libraries){0};
}

const struct tc_library *tc_libraries_named(const struct tc_libraries *l, const char *prefix)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->library[i].origin == TC_LIBRARY_LISTED &&
            strncmp(tc_basename(l->library[i].path), prefix, strlen(prefix)) == 0)
            return &l->library[i];
    return NULL;
}

char *tc_list_line(char *line)
{
    char *arrow = strstr(line, " => "), *path = arrow ? arrow + 4 : line;
    path += strspn(path, " \t");
    path[strcspn(path, "\n")] = 0;
    /* The address comes last; a path may hold parentheses too. */
    char *address = NULL;
    for (char *p = path; (p = strstr(p, " (0x")); p++)
        address = p;
    if (!address || *path != '/')
        return NULL;
    *address = 0;
    return path;
}

/* In the child: the loader, its complaints thrown away. */
static void become_loader(const char *interpreter, const char *program, int output)
{
    char *argv[] = {(char *)(uintptr_t)interpreter, (char *)(uintptr_t) "--list",
                    (char *)(uintptr_t)program, NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 2) < 0 || dup2(output, 1) < 0)
        _exit(127);
    execv(interpreter, argv);
    _exit(127);
}

static void read_all(int fd, struct tc_text *to)
{
    int64_t end = tc_monotonic_ms() + LIST_MS;
    for (;;) {
        char part[4096];
        int64_t left = end - tc_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
            return;
        if (!(p.revents & (POLLIN | POLLHUP)))
            continue;
        ssize_t n = read(fd, part, sizeof part);
        if (n == 0 || (n < 0 && errno != EINTR))
            return;
        if (n > 0)
            tc_text_addn(to, part, (size_t)n);
    }
}

int tc_libraries_list(struct tc_libraries *l, const char *interpreter, const char *program)
{
    int ends[2];
    int r = tc_libraries_add(l, program, TC_LIBRARY_LISTED);
    if (r < 0)
        return r;
    /* A path without a slash would be looked up among the libraries. */
    TC_CLEANUP(tc_free_text) char *path = realpath(program, NULL);
    if (!path || pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    TC_CLEANUP(tc_close_fd) int from = ends[0];
    pid_t child = fork();
    int error = errno;
    if (child == 0)
        become_loader(interpreter, path, ends[1]);
    (void)close(ends[1]);
    if (child < 0)
        return -error;
    struct tc_text text = {0};
    read_all(from, &text);
    (void)kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    for (char *line = text.data, *next; line && *line; line = next) {
        next = line + strcspn(line, "\n");
        next += *next == '\n' ? (*next = 0, 1) : 0;
        char *library = tc_list_line(line);
        if (library)
            (void)tc_libraries_add(l, library, TC_LIBRARY_LISTED);
    }
    tc_text_free(&text);
    return 0;
}
