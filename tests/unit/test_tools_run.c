/* What `cachectl run` finds out before it runs anything: words, programs, libraries, environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/libraries.h"
#include "tools/options.h"
#include "tools/program.h"
#include "tools/run_env.h"
#include "tools/supervise.h"

static char dir[] = "/tmp/test_tools_run.XXXXXX";

static const char *write_file(const char *name, const void *data, size_t bytes, mode_t mode)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static const char *write_text(const char *name, const char *text, mode_t mode)
{
    return write_file(name, text, strlen(text), mode);
}

static const struct tc_command command = {
    .name = "test", .summary = "A test", .usage = "test", .help = ""};

struct words {
    bool flag;
    const char *value;
    struct tc_optional optional;
    struct tc_words list;
    struct tc_parsed parsed;
};

static bool parse(struct words *w, enum tc_options_mode mode, char **argv)
{
    *w = (struct words){0};
    const struct tc_option options[] = {{'f', "flag", TC_OPTION_FLAG, &w->flag},
                                        {'v', "value", TC_OPTION_VALUE, &w->value},
                                        {0, "stats", TC_OPTION_OPTIONAL, &w->optional},
                                        {0, "task", TC_OPTION_LIST, &w->list},
                                        {0, NULL, TC_OPTION_FLAG, NULL}};
    int argc = 0, status = -1;
    while (argv[argc])
        argc++;
    bool go_on = tc_options_parse(&command, options, mode, argc, argv, &w->parsed, &status);
    assert_int_equal(status, go_on ? -1 : TC_EXIT_USAGE);
    return go_on;
}

static void forget(struct words *w)
{
    free(w->list.word);
    free(w->parsed.words.word);
}

#define ARGV(...) ((char *[]){(char *)(uintptr_t) "test", __VA_ARGS__, NULL})
#define W(s)      ((char *)(uintptr_t)(s))

static void reads_options(void **state)
{
    (void)state;
    struct words w;
    assert_true(parse(&w, TC_OPTIONS_FIRST,
                      ARGV(W("--task"), W("a"), W("--stats"), W("--task=b"), W("prog"), W("-f"))));
    assert_int_equal(w.list.count, 2);
    assert_string_equal(w.list.word[1], "b");
    assert_true(w.optional.given && !w.optional.value && !w.flag);
    assert_int_equal(w.parsed.words.count, 2);
    assert_string_equal(w.parsed.words.word[1], "-f");
    forget(&w);
    assert_true(parse(
        &w, TC_OPTIONS_ANYWHERE,
        ARGV(W("x"), W("-v7"), W("--stats=F"), W("-c"), W("C"), W("-f"), W("--"), W("--json"))));
    assert_string_equal(w.value, "7");
    assert_string_equal(w.optional.value, "F");
    assert_string_equal(w.parsed.common.config, "C");
    assert_true(w.flag && !w.parsed.common.json);
    assert_int_equal(w.parsed.words.count, 2);
    assert_string_equal(w.parsed.words.word[1], "--json");
    forget(&w);
}

static void refuses_wrong_options(void **state)
{
    (void)state;
    struct words w;
    char *const wrong[] = {W("--nosuch"), W("-q"), W("--value"), W("--flag=1"), W("--color=blue")};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(parse(&w, TC_OPTIONS_ANYWHERE, ARGV(wrong[i])));
        forget(&w);
    }
}

static void splits_a_script_line_as_the_kernel_does(void **state)
{
    (void)state;
    char *path, *argument, a[] = "#! /usr/bin/env  python3 -u \nrest", b[] = "#!/bin/sh\n",
                           c[] = "#!  \nx", d[] = "echo\n";
    assert_int_equal(tc_script_interpreter(a, &path, &argument), 0);
    assert_string_equal(path, "/usr/bin/env");
    assert_string_equal(argument, "python3 -u");
    assert_int_equal(tc_script_interpreter(b, &path, &argument), 0);
    assert_string_equal(path, "/bin/sh");
    assert_null(argument);
    assert_int_equal(tc_script_interpreter(c, &path, &argument), -ENOEXEC);
    assert_int_equal(tc_script_interpreter(d, &path, &argument), -ENOEXEC);
    char *command_name = tc_env_command("-S A=1  python3 -u");
    assert_string_equal(command_name, "python3");
    free(command_name);
    assert_null(tc_env_command("-i A=1"));
    assert_null(tc_env_command(NULL));
}

static void check_finding(const char *path, enum tc_reason reason, const char *binary)
{
    struct tc_program p;
    struct tc_cause cause;
    assert_int_equal(tc_program_find(path, &p, &cause), 0);
    assert_int_equal(p.finding.reason, reason);
    if (binary)
        assert_string_equal(p.binary, binary);
    tc_program_free(&p);
}

static void follows_scripts_to_their_interpreter(void **state)
{
    (void)state;
    char text[512];
    check_finding(write_text("sh", "#!/bin/sh\n", 0755), 0, "/bin/sh");
    (void)snprintf(text, sizeof text, "#!%s/sh -x\n", dir);
    check_finding(write_text("of_script", text, 0755), 0, "/bin/sh");
    check_finding(write_text("plain", "echo hello\n", 0755), 0, "/bin/sh");
    check_finding(write_text("env", "#!/usr/bin/env sh\n", 0755), 0, NULL);
}

static void tells_missing_from_forbidden(void **state)
{
    (void)state;
    struct tc_program p;
    struct tc_cause cause;
    assert_int_equal(tc_program_find("no-such-program-anywhere", &p, &cause), -ENOENT);
    assert_int_equal(tc_program_find("/no/such/program", &p, &cause), -ENOENT);
    assert_int_equal(tc_program_find("", &p, &cause), -ENOENT);
    assert_int_equal(tc_program_find(dir, &p, &cause), -EACCES);
    assert_int_equal(tc_program_find(write_text("closed", "#!/bin/sh\n", 0644), &p, &cause),
                     -EACCES);
    assert_int_equal(tc_program_find(write_text("lost", "#!/no/such\n", 0755), &p, &cause),
                     -ENOENT);
}

static size_t elf_file(unsigned char *to, uint16_t machine, const char *interpreter)
{
    size_t bytes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_DYN,
                    .e_machine = machine,
                    .e_phoff = sizeof h,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 1};
    Elf64_Phdr p = {.p_type = interpreter ? PT_INTERP : PT_LOAD,
                    .p_offset = bytes,
                    .p_filesz = interpreter ? strlen(interpreter) + 1 : 0};
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, &p, sizeof p);
    if (interpreter)
        memcpy(to + bytes, interpreter, strlen(interpreter) + 1);
    return bytes + (interpreter ? strlen(interpreter) + 1 : 0);
}

static void says_what_cannot_be_cached(void **state)
{
    (void)state;
    unsigned char file[1024] = {0};
    size_t n = elf_file(file, EM_X86_64, NULL);
    check_finding(write_file("static", file, n, 0755), TC_R_STATIC_EXECUTABLE, NULL);
    n = elf_file(file, EM_X86_64, "/lib/ld-musl-x86_64.so.1");
    check_finding(write_file("musl", file, n, 0755), TC_R_FOREIGN_CLASS, NULL);
    n = elf_file(file, EM_RISCV, "/lib/ld.so");
    check_finding(write_file("riscv", file, n, 0755), TC_R_FOREIGN_CLASS, NULL);
    n = elf_file(file, EM_X86_64, "/lib64/ld-linux-x86-64.so.2");
    check_finding(write_file("dynamic", file, n, 0755), 0, NULL);
    check_finding(write_file("setuid", file, n, 04755), TC_R_SECURE_EXEC, NULL);
    check_finding(write_file("setgid", file, n, 02755), TC_R_SECURE_EXEC, NULL);
    file[EI_CLASS] = ELFCLASS32;
    check_finding(write_file("class32", file, n, 0755), TC_R_FOREIGN_CLASS, NULL);
}

static void survives_damaged_elf_files(void **state)
{
    (void)state;
    unsigned char file[1024] = {0};
    size_t n = elf_file(file, EM_X86_64, "/lib64/ld-linux-x86-64.so.2");
    for (size_t i = 0; i < n; i++) {
        struct tc_elf_facts facts;
        unsigned char kept = file[i];
        file[i] = 0xff;
        int fd = open(write_file("damaged", file, n, 0755), O_RDONLY);
        (void)tc_elf_facts_read(fd, &facts);
        assert_non_null(memchr(facts.interpreter, 0, sizeof facts.interpreter));
        close(fd);
        file[i] = kept;
    }
}

static void check_line(const char *line, const char *path)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", line);
    char *found = tc_list_line(copy);
    if (path)
        assert_string_equal(found, path);
    else
        assert_null(found);
}

static void reads_the_loaders_list(void **state)
{
    (void)state;
    check_line("\tlinux-vdso.so.1 (0x00007ffd)", NULL);
    check_line("\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f11)",
               "/lib/x86_64-linux-gnu/libm.so.6");
    check_line("\t/lib64/ld-linux-x86-64.so.2 (0x00007f12)", "/lib64/ld-linux-x86-64.so.2");
    check_line("\tlibx.so => /a b (0x1)/libx.so (0x00007f13)", "/a b (0x1)/libx.so");
    check_line("\tlibgone.so => not found", NULL);
    check_line("", NULL);
}

static void lists_our_own_libraries_once(void **state)
{
    (void)state;
    struct tc_libraries l = {0};
    struct tc_program p;
    struct tc_cause cause;
    assert_int_equal(tc_program_find("/proc/self/exe", &p, &cause), 0);
    assert_int_equal(tc_libraries_list(&l, p.elf.interpreter, p.binary), 0);
    const struct tc_library *libc = tc_libraries_named(&l, "libc.so");
    assert_non_null(libc);
    assert_non_null(tc_libraries_named(&l, "libcmocka.so"));
    size_t count = l.count;
    assert_int_equal(tc_libraries_add(&l, libc->path, TC_LIBRARY_GLOBBED), 0);
    assert_int_equal(l.count, count);
    const char *const globs[] = {"libc.so.*"};
    tc_libraries_glob(&l, globs, 1);
    assert_int_equal(l.count, count);
    tc_program_free(&p);
    tc_libraries_free(&l);
}

static void check_preload(const char *existing, const char *sanitizer, const char *expected)
{
    const char *const sanitizers[] = {sanitizer, NULL};
    char *value = tc_preload_value(existing, "/l/libtaskcache.so", sanitizers);
    assert_string_equal(value, expected);
    free(value);
}

static void orders_preloads(void **state)
{
    (void)state;
    check_preload(NULL, NULL, "/l/libtaskcache.so");
    check_preload("a.so:b.so c.so", NULL, "/l/libtaskcache.so:a.so:b.so:c.so");
    check_preload("a.so::/l/libtaskcache.so", NULL, "/l/libtaskcache.so:a.so");
    check_preload("/s/libasan.so.8:a.so", "/s/libasan.so.8",
                  "/s/libasan.so.8:/l/libtaskcache.so:a.so");
    char *options = tc_asan_options("detect_leaks=0");
    assert_string_equal(options, "detect_leaks=0:verify_asan_link_order=0");
    char *again = tc_asan_options(options);
    assert_string_equal(again, options);
    free(options);
    free(again);
}

/* The loader splits LD_PRELOAD at spaces. */
static void links_to_a_library_below_a_path_with_spaces(void **state)
{
    (void)state;
    char library[256], target[256] = "";
    (void)snprintf(library, sizeof library, "%s/a b", dir);
    assert_int_equal(mkdir(library, 0700), 0);
    strcat(library, "/libtaskcache.so");
    for (int i = 0; i < 2; i++) {
        char *path = tc_preloadable(library, dir);
        assert_non_null(path);
        assert_null(strpbrk(path, " :"));
        assert_true(readlink(path, target, sizeof target - 1) > 0);
        assert_string_equal(target, library);
        free(path);
    }
    assert_null(tc_preloadable(library, "/tmp/also with/spaces"));
}

static void exit_as_told(void *ctx)
{
    _exit(*(int *)ctx);
}

static void kill_self(void *ctx)
{
    signal(*(int *)ctx, SIG_DFL);
    raise(*(int *)ctx);
}

/* What somebody else sends to the parent alone reaches the program. */
static void terminate_parent(void *ctx)
{
    (void)ctx;
    pid_t parent = getppid();
    if (fork() == 0) {
        kill(parent, SIGTERM);
        _exit(0);
    }
    (void)alarm(10); /* a parent that passes nothing on shall fail the test, not hang it */
    for (;;)
        pause();
}

static void stays_beside_a_program(void **state)
{
    (void)state;
    int wait_status = -1, status = 42, sig = SIGSEGV;
    sigset_t before;
    sigprocmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(tc_supervise(exit_as_told, &status, &wait_status), 0);
    assert_true(WIFEXITED(wait_status) && tc_end_as(wait_status) == 42);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(tc_supervise(terminate_parent, NULL, &wait_status), 0);
    assert_true(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGTERM);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(tc_supervise(kill_self, &sig, &wait_status), 0);
    assert_true(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSEGV);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char *line = tc_format("rm -rf %s", dir);
    int r = system(line);
    free(line);
    return r;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_options),
        cmocka_unit_test(refuses_wrong_options),
        cmocka_unit_test(splits_a_script_line_as_the_kernel_does),
        cmocka_unit_test(follows_scripts_to_their_interpreter),
        cmocka_unit_test(tells_missing_from_forbidden),
        cmocka_unit_test(says_what_cannot_be_cached),
        cmocka_unit_test(survives_damaged_elf_files),
        cmocka_unit_test(reads_the_loaders_list),
        cmocka_unit_test(lists_our_own_libraries_once),
        cmocka_unit_test(orders_preloads),
        cmocka_unit_test(links_to_a_library_below_a_path_with_spaces),
        cmocka_unit_test(stays_beside_a_program),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
