#include "tools/plugin_info.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/client.h"

bool tc_is_plugin_path(const char *word)
{
    size_t n = strlen(word);
    return strchr(word, '/') || (n > 3 && strcmp(word + n - 3, ".so") == 0);
}

enum {
    FIELDS = 8,
};

/* All that the program writes; its status doesn't matter: a refusal is a line, too. */
static int read_output(const char *program, const char *path, struct tc_text *ret)
{
    int ends[2], status = 0;
    char chunk[4096];
    ssize_t n;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0) {
        if (dup2(ends[1], 1) < 0)
            _exit(127);
        (void)execl(program, "taskcached", "--read-plugin", path, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    while ((n = read(ends[0], chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            tc_text_addn(ret, chunk, (size_t)n);
    (void)close(ends[0]);
    if (child < 0)
        return -EAGAIN;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? 0 : -EPROTO;
}

static void take_line(char *line, const char *path, struct tc_plugin_info *ret)
{
    char *field[FIELDS] = {NULL};
    size_t count = 0;
    while (line && count < FIELDS) {
        field[count++] = line;
        line = strchr(line, '\t');
        if (line)
            *line++ = 0;
    }
    if (count == FIELDS && strcmp(field[0], "plugin") == 0) {
        ret->name = tc_copy(field[1]);
        ret->version = tc_copy(field[2]);
        ret->abi = tc_copy(field[3]);
        ret->has_code = field[4][0] == '1';
        ret->claims = strtoull(field[5], NULL, 10);
        ret->licence = tc_copy(field[6]);
        ret->description = tc_copy(field[7]);
    } else if (count == 2 && strcmp(field[0], "task") == 0) {
        tc_words_add(&ret->tasks, tc_copy(field[1]));
    } else if (count >= 3 && strcmp(field[0], "refused") == 0) {
        (void)tc_cause_set(&ret->refused, EINVAL, tc_reason_by_id(field[1]), path, "%s", field[2]);
    }
}

int tc_plugin_info_read(const char *path, struct tc_plugin_info *ret)
{
    char program[TC_PATH_BYTES];
    struct tc_text text = {0};
    memset(ret, 0, sizeof *ret);
    int r = tc_find_service(program, sizeof program);
    if (r == 0)
        r = read_output(program, path, &text);
    if (r < 0)
        (void)tc_cause_set(&ret->refused, -r, TC_R_SERVICE_FAILED, path,
                           "taskcached, which reads plugins, can't be run");
    for (char *line = text.data, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        take_line(line, path, ret);
    }
    tc_text_free(&text);
    return r;
}

void tc_plugin_info_free(struct tc_plugin_info *p)
{
    for (size_t i = 0; i < p->tasks.count; i++)
        free((char *)(uintptr_t)p->tasks.word[i]);
    tc_words_free(&p->tasks);
    free(p->name);
    free(p->version);
    free(p->abi);
    free(p->licence);
    free(p->description);
}
